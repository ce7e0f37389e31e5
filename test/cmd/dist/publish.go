package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker-gitea/docker-gitea/registry"
)

const (
	sumsFile = "SHA256SUMS"
	// signatureOf is what a signature is good for: one of something else is not
	// one of a release.
	signatureOf = "docker-gitea"
	// maxAnswer is how much of an answer of Gitea is read.
	maxAnswer = 1 << 20
)

// publisher makes releases of one repository, by the API of its Gitea.
type publisher struct {
	client     *http.Client
	server     string // https://git.example.com
	repository string // OWNER/NAME
	token      registry.Secret
}

// newPublisher takes what a job of Gitea Actions has in its environment.
func newPublisher(getenv func(string) string) (*publisher, error) {
	p := &publisher{
		client: http.DefaultClient,
		server: strings.TrimSuffix(getenv("GITHUB_SERVER_URL"), "/"), repository: getenv("GITHUB_REPOSITORY"),
		token: registry.NewSecret(getenv("RELEASE_TOKEN")),
	}
	switch {
	case p.server == "":
		return nil, errors.New("set GITHUB_SERVER_URL, such as https://git.example.com")
	case strings.Count(p.repository, "/") != 1:
		return nil, errors.New("set GITHUB_REPOSITORY, such as OWNER/NAME")
	case p.token.IsZero():
		return nil, errors.New("set RELEASE_TOKEN, a token with the scope write:repository, or that of the job")
	}
	return p, nil
}

// publish signs the checksums of what is in dir, and makes it the release of
// the tag. Nobody sees the release before it is whole: what a publish that
// failed has left, the next one takes away.
func (p *publisher) publish(ctx context.Context, dir, tag, notes string, key registry.Secret) error {
	if err := sign(ctx, filepath.Join(dir, sumsFile), key); err != nil {
		return err
	}
	// Gitea would make a tag that is missing, at whatever its branch has.
	if err := p.call(ctx, http.MethodGet, "/tags/"+url.PathEscape(tag), nil, nil); err != nil {
		return fmt.Errorf("push the tag %s first: %w", tag, err)
	}
	if err := p.clear(ctx, tag); err != nil {
		return err
	}
	var made struct{ ID int64 }
	err := p.call(ctx, http.MethodPost, "/releases", map[string]any{
		"tag_name": tag, "name": tag, "body": notes, "draft": true, "prerelease": strings.Contains(tag, "-"),
	}, &made)
	if err != nil {
		return err
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	release := fmt.Sprintf("/releases/%d", made.ID)
	for _, file := range files {
		if err := p.attach(ctx, release, filepath.Join(dir, file.Name())); err != nil {
			return err
		}
	}
	return p.call(ctx, http.MethodPatch, release, map[string]any{"draft": false}, nil)
}

// clear deletes a draft of the tag. A release that people may have is left.
func (p *publisher) clear(ctx context.Context, tag string) error {
	var releases []struct {
		ID      int64
		TagName string `json:"tag_name"`
		Draft   bool
	}
	if err := p.call(ctx, http.MethodGet, "/releases?limit=50", nil, &releases); err != nil {
		return err
	}
	for _, r := range releases {
		if r.TagName != tag {
			continue
		}
		if !r.Draft {
			return fmt.Errorf("%s is released already: people may have its files, so give the next one another version", tag)
		}
		if err := p.call(ctx, http.MethodDelete, fmt.Sprintf("/releases/%d", r.ID), nil, nil); err != nil {
			return err
		}
	}
	return nil
}

// attach adds a file to a release, and compares the size that Gitea has got.
func (p *publisher) attach(ctx context.Context, release, path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	name := filepath.Base(path)
	req, err := p.request(ctx, http.MethodPost, release+"/assets?name="+url.QueryEscape(name), bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	var got struct{ Size int }
	if err := p.send(req, &got); err != nil {
		return err
	}
	if got.Size != len(content) {
		return fmt.Errorf("%s: gitea has %d bytes of %d", name, got.Size, len(content))
	}
	return nil
}

// call sends in as JSON, unless it is nil, and reads the answer into out.
func (p *publisher) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := p.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return p.send(req, out)
}

func (p *publisher) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.server+"/api/v1/repos/"+p.repository+path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "token "+p.token.Reveal())
	return req, nil
}

func (p *publisher) send(req *http.Request, out any) error {
	resp, err := p.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s: %s: %s", req.Method, req.URL.Path, resp.Status, bytes.TrimSpace(answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	return nil
}

// sign writes a signature beside the file, in the form of `ssh-keygen -Y`.
func sign(ctx context.Context, file string, key registry.Secret) (err error) {
	if key.IsZero() {
		return errors.New("set RELEASE_KEY, the private SSH key that signs the release: ssh-keygen -t ed25519 -N '' -f release-key")
	}
	dir, err := os.MkdirTemp("", "release-key-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "key")
	// A secret of a job may have lost its last line end, without which it is no key.
	if err := os.WriteFile(path, []byte(strings.TrimSpace(key.Reveal())+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.RemoveAll(file + ".sig"); err != nil { // ssh-keygen would ask
		return err
	}
	return quietly(exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-q", "-f", path, "-n", signatureOf, file))
}

// notesOf is what CHANGELOG.md says about a version.
func notesOf(changelog, version string) (string, error) {
	_, section, found := strings.Cut("\n"+changelog, "\n## "+version+"\n")
	if !found {
		return "", fmt.Errorf("CHANGELOG.md has no section %q: name its first one so, commit, and tag again", version)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return strings.TrimSpace(section), nil
}
