package registrytest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// tags answers tags/list: container.go, GetTagsList. Every page that is not
// empty links to a next one, so a client ends at the empty page.
func (c *call) tags() {
	n := -1
	if c.form("n") != "" {
		n = c.formInt("n")
	}
	tags, ok := c.reg.store.tags(c.repository())
	if !ok {
		c.fail(errNameUnknown)
		return
	}
	tags = page(tags, n, c.form("last"))
	if len(tags) > 0 {
		query := url.Values{"last": {tags[len(tags)-1]}}
		if n > 0 {
			query.Set("n", strconv.Itoa(n))
		}
		c.w.Header().Set("Link", `<`+c.location("tags", "list")+`?`+query.Encode()+`>; rel="next"`)
	}
	c.ok(tagList{c.repository(), tags})
}

type tagList struct {
	Name string   `json:"name"`
	Tags []string `json:"tags"`
}

// catalog answers _catalog: GetRepositoryList.
func (c *call) catalog() {
	n := c.formInt("n")
	if n <= 0 || n > 100 {
		n = 100
	}
	names := page(c.reg.visibleRepositories(c.who), n, c.form("last"))
	if len(names) == n {
		query := url.Values{"n": {strconv.Itoa(n)}, "last": {names[n-1]}}
		c.w.Header().Set("Link", `</v2/_catalog?`+query.Encode()+`>; rel="next"`)
	}
	c.ok(struct {
		Repositories []string `json:"repositories"`
	}{names})
}

// formInt is a parameter as a number, 0 where it is none.
func (c *call) formInt(name string) int {
	n, err := strconv.Atoi(c.form(name))
	if err != nil {
		return 0
	}
	return n
}

// page is what follows last, n items at most, or all when n is negative. It is
// never nil.
func page(sorted []string, n int, last string) []string {
	items := []string{}
	for _, item := range sorted {
		if len(items) == n {
			break
		}
		if last == "" || item > strings.ToLower(last) {
			items = append(items, item)
		}
	}
	return items
}

// tags are the tags of a repository, sorted; ok is false when there is none.
func (s *store) tags(name string) (tags []string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	repo := s.repositories[name]
	if repo == nil {
		return nil, false
	}
	for _, v := range repo.versions {
		if v.tagged {
			tags = append(tags, v.reference)
		}
	}
	slices.Sort(tags)
	return tags, true
}

// visibleRepositories are those with a manifest whose owner may be seen.
func (r *Registry) visibleRepositories(who identity) []string {
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	var names []string
	for _, repo := range r.store.sorted() {
		if len(repo.versions) > 0 && r.access(who, repo.owner) >= Read {
			names = append(names, repo.name)
		}
	}
	return names
}
