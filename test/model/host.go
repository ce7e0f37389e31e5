package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/registrytest"
)

// upstream is a registry that a history is about.
type upstream struct {
	// handler answers requests as the registry does, with Basic credentials.
	handler            http.Handler
	username, password string
	// repositories are those that histories push to.
	repositories [2]string
	// folds: tags are stored in lower case. ociOnly: Docker's media types are
	// refused.
	folds, ociOnly bool
	// collect has the registry collect its garbage, later moves its clock. They
	// are nil where that cannot be.
	collect func()
	later   func(time.Duration)
}

// scripted is a registry of registrytest.
func scripted(config registrytest.Config) upstream {
	var mu sync.Mutex // guards ahead
	var ahead time.Duration
	config.Now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	if config.Flavor == registrytest.Distribution {
		config.Auth = registrytest.AuthBasic
	}
	r := registrytest.New(config)
	return upstream{
		handler: r, username: registrytest.Username, password: registrytest.Password,
		repositories: [2]string{registrytest.Username + "/app", registrytest.Username + "/other"},
		folds:        config.Flavor != registrytest.Distribution,
		ociOnly:      config.OCIOnly,
		collect:      r.CollectGarbage,
		later: func(d time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			ahead += d
		},
	}
}

// host is a registry as clients find it, on a port of its own. What is looked at
// and done behind their backs goes past the port.
type host struct {
	upstream
	server *httptest.Server

	// mu guards the fields below.
	mu sync.Mutex
	// strike, when not nil, is asked about each request before the registry.
	strike func(n int) act
	passed int
	// open are the connections to it, and ended tells that one of them has ended.
	open  int
	ended *sync.Cond
}

// act is what happens to a request.
type act struct {
	// before and after are called around the registry's work.
	before, after func()
	// portal has somebody else answer who knows nothing of registries.
	portal bool
	// lie changes a bit of a manifest or blob that is read, cut breaks off in its
	// middle.
	lie, cut bool
}

func newHost(u upstream) *host {
	h := &host{upstream: u}
	h.ended = sync.NewCond(&h.mu)
	h.server = httptest.NewUnstartedServer(h)
	h.server.Config.ConnState = h.count
	h.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	h.server.Start()
	return h
}

func (h *host) close() {
	h.server.CloseClientConnections()
	h.server.Close()
}

// address is "127.0.0.1:PORT".
func (h *host) address() string { return h.server.Listener.Addr().String() }

// count counts the connections. One has ended when what it asked for is done, or given up.
func (h *host) count(_ net.Conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch state {
	case http.StateNew:
		h.open++
	case http.StateClosed:
		h.open--
		h.ended.Broadcast()
	default: // it goes on
	}
}

// settled is a path that asks for nothing.
const settled = "/settled"

// settle waits until nothing is being answered any more: a registry may still do
// what it was asked by somebody who has gone. Connections that wait to be accepted are
// in a row, so there are none before its own once that is answered. The others are
// closed, as a body may never come on one of them.
func (h *host) settle() error {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(h.server.URL + settled)
	if err != nil {
		return err
	}
	if err := resp.Body.Close(); err != nil {
		return err
	}
	h.server.CloseClientConnections()
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.open > 0 {
		h.ended.Wait()
	}
	return nil
}

// arm has strike asked about the requests from now on, counted from 0.
func (h *host) arm(strike func(n int) act) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.strike, h.passed = strike, 0
}

func (h *host) next() act {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.passed++
	if h.strike == nil {
		return act{}
	}
	return h.strike(h.passed - 1)
}

// ServeHTTP implements [http.Handler].
func (h *host) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == settled {
		return
	}
	a := h.next()
	if a.before != nil {
		a.before()
	}
	if a.portal {
		_, _ = io.Copy(io.Discard, req.Body) // the client may be gone
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<html><body>Welcome! Please accept the terms.</body></html>")
		return
	}
	if (a.lie || a.cut) && req.Method == http.MethodGet && (strings.Contains(req.URL.Path, "/manifests/") || strings.Contains(req.URL.Path, "/blobs/")) {
		h.spoil(w, req, a)
	} else {
		h.handler.ServeHTTP(w, req)
	}
	if a.after != nil {
		a.after()
	}
}

// spoil answers with something else than what is there.
func (h *host) spoil(w http.ResponseWriter, req *http.Request, a act) {
	recorded := httptest.NewRecorder()
	h.handler.ServeHTTP(recorded, req)
	maps.Copy(w.Header(), recorded.Header())
	body := recorded.Body.Bytes()
	if a.lie && recorded.Code == http.StatusOK && len(body) > 0 {
		body = bytes.Clone(body)
		body[len(body)/2] ^= 1
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(recorded.Code)
	if a.cut {
		_, _ = w.Write(body[:len(body)/2]) // the client may be gone
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(body)
}

// answer is an answer that was read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// ask makes a request behind the clients' backs.
func (h *host) ask(method, path, contentType string, body []byte) answer {
	req := httptest.NewRequest(method, "http://"+h.address()+path, bytes.NewReader(body))
	req.SetBasicAuth(h.username, h.password)
	req.Header.Set("Accept", strings.Join([]string{ociManifest, ociIndex, dockerManifest, dockerList}, ", "))
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	recorded := httptest.NewRecorder()
	h.handler.ServeHTTP(recorded, req)
	return answer{recorded.Code, recorded.Header(), recorded.Body.Bytes()}
}

// get reads what a path has, if there is something.
func (h *host) get(path string) (data []byte, header http.Header, found bool) {
	got := h.ask(http.MethodGet, path, "", nil)
	switch got.status {
	case http.StatusOK:
		return got.body, got.header, true
	case http.StatusNotFound:
		return nil, nil, false
	}
	panic(fmt.Sprintf("GET %s: %d: %s", path, got.status, got.body))
}

func (h *host) manifest(repository, reference string) (data []byte, mediaType string, found bool) {
	data, header, found := h.get("/v2/" + repository + "/manifests/" + reference)
	return data, header.Get("Content-Type"), found
}

// holds compares a blob of a repository with its digest.
func (h *host) holds(repository string, b blob) error {
	data, _, found := h.get("/v2/" + repository + "/blobs/" + b.digest)
	switch {
	case !found:
		return fmt.Errorf("the blob %s is not there", b.digest)
	case newBlob(data).digest != b.digest:
		return fmt.Errorf("the blob %s has other bytes", b.digest)
	}
	return nil
}

// size asks for a blob or a manifest of a repository.
func (h *host) size(repository, digest string) (size int64, found bool) {
	for _, kind := range []string{"blobs", "manifests"} {
		if got := h.ask(http.MethodHead, "/v2/"+repository+"/"+kind+"/"+digest, "", nil); got.status == http.StatusOK {
			size, err := strconv.ParseInt(got.header.Get("Content-Length"), 10, 64)
			must(err)
			return size, true
		}
	}
	return 0, false
}

// stored is a tag as the registry keeps it.
func (h *host) stored(tag string) string {
	if h.folds {
		return strings.ToLower(tag)
	}
	return tag
}

// tags are the tags of a repository, with their digests.
func (h *host) tags(repository string) map[string]string {
	data, _, found := h.get("/v2/" + repository + "/tags/list")
	tags := map[string]string{}
	if !found {
		return tags
	}
	var list struct {
		Tags []string `json:"tags"`
	}
	must(json.Unmarshal(data, &list))
	for _, tag := range list.Tags {
		if data, _, found := h.manifest(repository, tag); found {
			tags[tag] = newBlob(data).digest
		}
	}
	return tags
}

// parts are the digests that a reference leads to, by what they are: the
// manifests below it, and the blobs of all. broken: some are not there.
type parts struct {
	manifests, blobs []string
	broken           bool
}

func (h *host) parts(repository, reference string) parts {
	var found parts
	h.gather(repository, reference, &found)
	for _, list := range []*[]string{&found.manifests, &found.blobs} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return found
}

func (h *host) gather(repository, reference string, found *parts) {
	data, _, there := h.manifest(repository, reference)
	if !there {
		found.broken = true
		return
	}
	var named struct {
		Config    descriptor   `json:"config"`
		Layers    []descriptor `json:"layers"`
		Manifests []descriptor `json:"manifests"`
	}
	must(json.Unmarshal(data, &named))
	for _, d := range named.Manifests {
		found.manifests = append(found.manifests, d.Digest)
		h.gather(repository, d.Digest, found)
	}
	if named.Config.Digest == "" {
		return
	}
	for _, d := range append(named.Layers, named.Config) {
		found.blobs = append(found.blobs, d.Digest)
		if got := h.ask(http.MethodHead, "/v2/"+repository+"/blobs/"+d.Digest, "", nil); got.status != http.StatusOK {
			found.broken = true
		}
	}
}

// delete removes a blob or a manifest, if it is there and can be removed (distribution
// 2.8 removes no tag by its name).
func (h *host) delete(repository, kind, reference string) {
	got := h.ask(http.MethodDelete, "/v2/"+repository+"/"+kind+"/"+reference, "", nil)
	switch got.status {
	case http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound, http.StatusBadRequest, http.StatusMethodNotAllowed:
	default:
		panic(fmt.Sprintf("DELETE %s of %s: %d: %s", reference, repository, got.status, got.body))
	}
}

// receive has another client push a picture, as a layout has it.
func (h *host) receive(repository, tag string, p *picture) {
	for _, d := range p.root.children {
		h.put(repository, d.digest, d)
	}
	h.put(repository, tag, p.root)
}
