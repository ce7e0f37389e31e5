package model

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// daemon is a Docker Engine as far as the plugin asks for one: its API on a unix
// socket, and its own push. It answers as dockerd does with either store; how
// it pushes is in dockerpush.go. Or a real engine answers, and it keeps
// what that engine holds.
type daemon struct {
	// modern: engines of the classic store write an archive with a layout in it
	// since 25.0.
	modern bool
	server *httptest.Server
	socket string
	real   engine

	// mu guards the fields below.
	mu  sync.Mutex
	has inventory
	// digests are those that the classic store has sent a layer under, by
	// repository and diff ID. It asks for them before it sends a layer again.
	digests map[string]string
	// strike, when not nil, is called with each request, by what it is for.
	strike func(call string)

	// calls are the requests that are being answered.
	calls sync.WaitGroup
}

// engine is a real Docker Engine.
type engine interface {
	// ServeHTTP answers as its socket.
	http.Handler
	// load, untag and prune are those of [daemon].
	load(p *picture, name string, platforms int)
	untag(name string)
	prune()
	// names are those of all its images.
	names() []string
}

func newDaemon(socket string, containerd, modern bool, real engine) *daemon {
	d := &daemon{modern: modern, socket: socket, real: real, has: newInventory(containerd), digests: map[string]string{}}
	listener, err := net.Listen("unix", socket)
	must(err)
	d.server = &httptest.Server{Listener: listener, Config: &http.Server{
		Handler: d, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}}
	d.server.Start()
	return d
}

func (d *daemon) close() {
	d.server.CloseClientConnections()
	d.server.Close()
}

// arm has strike called with the requests from now on.
func (d *daemon) arm(strike func(call string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.strike = strike
}

// load gives it a picture under a name, untag takes a name away, and prune
// removes what has none.
func (d *daemon) load(p *picture, name string, platforms int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.has.load(p, name, platforms)
	if d.real != nil {
		d.real.load(p, name, platforms)
	}
}

// pull gives it a picture under a name, and leaves the layers where the picture comes
// from. TestLayersThatTheDaemonDoesNotHold shows the same with a real engine.
func (d *daemon) pull(p *picture, name, origin string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.real == nil {
		d.has.pull(p, name, origin)
	}
}

func (d *daemon) untag(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.has.untag(name) && d.real != nil {
		d.real.untag(name)
	}
}

func (d *daemon) prune() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.has.prune()
	if d.real != nil {
		d.real.prune()
	}
}

// rollBack gives each name the image again that it had before.
func (d *daemon) rollBack() {
	d.mu.Lock()
	before := maps.Clone(d.has.before)
	d.mu.Unlock()
	for name, p := range before {
		d.load(p, name, every)
	}
}

// find is a copy of what it has under a name or ID.
func (d *daemon) find(name string) (found held, names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, image := d.has.find(name)
	if image == nil {
		return held{}, nil
	}
	return *image, d.has.namesOf(id)
}

// forget is what a daemon does whose record of its pushes was removed.
func (d *daemon) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.digests)
}

// leftovers are the names in it that no history gave.
func (d *daemon) leftovers() []string {
	d.calls.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	all := slices.Collect(maps.Keys(d.has.named))
	if d.real != nil {
		all = d.real.names()
	}
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(names, name) })
}

// api is the version that it speaks.
func (d *daemon) api() string {
	switch {
	case d.has.containerd:
		return "1.48"
	case d.modern:
		return "1.47"
	}
	return "1.41"
}

// call is what a request is for: "inspect", "push" and so on, and the image.
func call(req *http.Request) (what, image string) {
	path := req.URL.Path
	if rest, versioned := strings.CutPrefix(path, "/v1."); versioned {
		_, path, _ = strings.Cut(rest, "/")
	}
	switch path {
	case "/_ping":
		return "ping", ""
	case "info":
		return "info", ""
	case "images/json":
		return "list", ""
	case "images/get":
		return "save", req.URL.Query().Get("names")
	}
	image = strings.TrimPrefix(path, "images/")
	if req.Method == http.MethodDelete {
		return "untag", image
	}
	i := strings.LastIndex(image, "/")
	if i < 0 {
		return "", ""
	}
	what = map[string]string{"json": "inspect", "history": "history", "tag": "tag", "push": "push"}[image[i+1:]]
	return what, image[:i]
}

// ServeHTTP implements [http.Handler].
func (d *daemon) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	d.calls.Add(1)
	defer d.calls.Done()
	what, name := call(req)
	d.mu.Lock()
	strike := d.strike
	d.mu.Unlock()
	if strike != nil {
		strike(what)
	}
	if d.real != nil {
		d.real.ServeHTTP(w, req)
		return
	}
	d.answer(w, req, what, name)
}

func (d *daemon) answer(w http.ResponseWriter, req *http.Request, what, name string) {
	switch what {
	case "ping":
		w.Header().Set("Api-Version", d.api())
	case "info":
		d.info(w)
	case "list":
		d.list(w, req.URL.Query())
	case "inspect":
		d.inspect(w, name)
	case "history":
		d.history(w, name)
	case "save":
		d.save(w, name, req.URL.Query())
	case "tag":
		d.tag(w, name, req.URL.Query())
	case "untag":
		d.untagged(w, name)
	case "push":
		d.push(w, req, name)
	default:
		problem(w, http.StatusNotFound, "page not found")
	}
}

func problem(w http.ResponseWriter, status int, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message}) // the client may be gone
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may be gone
}

func (d *daemon) info(w http.ResponseWriter) {
	status := [][2]string{{"Backing Filesystem", "extfs"}}
	if d.has.containerd {
		status = [][2]string{{"driver-type", "io.containerd.snapshotter.v1"}}
	}
	reply(w, map[string]any{"OperatingSystem": "Debian GNU/Linux 12", "DriverStatus": status, "SecurityOptions": []string{"name=seccomp,profile=builtin"}})
}

// list is `docker images`. The one filter is that of names that a push left.
func (d *daemon) list(w http.ResponseWriter, query url.Values) {
	d.mu.Lock()
	defer d.mu.Unlock()
	prefix := ""
	if query.Has("filters") {
		prefix = "127.0.0.1:"
	}
	images := []any{}
	for id := range d.has.images {
		var tags []string
		for _, name := range d.has.namesOf(id) {
			if strings.HasPrefix(name, prefix) {
				tags = append(tags, name)
			}
		}
		if len(tags) > 0 || prefix == "" {
			images = append(images, map[string]any{"Id": id, "RepoTags": tags})
		}
	}
	reply(w, images)
}

func (d *daemon) inspect(w http.ResponseWriter, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, found := d.has.find(name)
	if found == nil {
		problem(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	var layers []string
	size := 0
	for _, l := range found.members[0].layers {
		layers = append(layers, l.raw.digest)
		size += len(l.raw.data)
	}
	described := map[string]any{"Id": id, "RepoTags": d.has.namesOf(id), "Size": size, "RootFS": map[string]any{"Type": "layers", "Layers": layers}}
	if d.has.containerd {
		described["Descriptor"] = describe(found.root.mediaType, found.root.blob)
		described["Manifests"] = found.summaries()
		if found.origin != "" {
			described["RepoDigests"] = []string{found.origin + "@" + found.root.digest}
		}
	}
	reply(w, described)
}

// summaries say of each image and attestation whether the daemon has it.
func (h *held) summaries() []any {
	var all []any
	for i, m := range h.members {
		architecture := m.platform[len("linux/"):]
		all = append(all, map[string]any{
			"ID": m.document.digest, "Descriptor": describe(m.document.mediaType, m.document.blob), "Kind": "image", "Available": i < h.platforms && !h.hollow,
			"ImageData": map[string]any{"Platform": map[string]string{"os": "linux", "architecture": architecture}},
		})
	}
	for _, child := range h.root.children[min(len(h.members), len(h.root.children)):] {
		all = append(all, map[string]any{"ID": child.digest, "Descriptor": describe(child.mediaType, child.blob), "Kind": "attestation", "Available": h.whole()})
	}
	return all
}

// history has the sizes of the layers, the topmost first.
func (d *daemon) history(w http.ResponseWriter, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, found := d.has.find(name)
	if found == nil {
		problem(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	var steps []any
	for _, l := range slices.Backward(found.members[0].layers) {
		steps = append(steps, map[string]int{"Size": len(l.raw.data)})
	}
	reply(w, steps)
}

func (d *daemon) save(w http.ResponseWriter, name string, query url.Values) {
	d.mu.Lock()
	id, found := d.has.find(name)
	var archive []byte
	status, message := http.StatusNotFound, "No such image: "+name
	if found != nil {
		if name == id {
			name = ""
		}
		archive, message = d.archive(found, name, platformOf(query))
		status = http.StatusBadRequest
	}
	d.mu.Unlock()
	if message != "" {
		problem(w, status, message)
		return
	}
	w.Header().Set("Content-Type", "application/x-tar")
	_, _ = w.Write(archive) // the client may be gone
}

// archive is `docker save` of an image, or why there is none.
func (d *daemon) archive(found *held, name, platform string) (archive []byte, fault string) {
	switch {
	case !d.has.containerd && d.modern:
		return classicExport(found.picture, name), ""
	case !d.has.containerd:
		return dockerArchive([]*picture{found.picture}, []string{name}), ""
	case platform == "":
		return containerdExport(found.root, found.members[0], found.presentDocuments(), name, found.holds), ""
	}
	for _, m := range found.present() {
		if m.platform == platform {
			return containerdExport(m.document, m, []*document{m.document}, name, found.holds), ""
		}
	}
	return nil, "no suitable export target found for platform " + platform
}

// platformOf is the platform that a request asks for.
func platformOf(query url.Values) string {
	var p struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
	}
	if text := query.Get("platform"); text != "" {
		must(json.Unmarshal([]byte(text), &p))
		return p.OS + "/" + p.Architecture
	}
	return ""
}

func (d *daemon) tag(w http.ResponseWriter, name string, query url.Values) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, found := d.has.find(name)
	if found == nil {
		problem(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	d.has.named[query.Get("repo")+":"+query.Get("tag")] = id
	w.WriteHeader(http.StatusCreated)
}

func (d *daemon) untagged(w http.ResponseWriter, name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.has.untag(name) {
		problem(w, http.StatusNotFound, "No such image: "+name)
		return
	}
	reply(w, []any{map[string]string{"Untagged": name}})
}

// push reports its end as dockerd does, in the stream that has the progress.
func (d *daemon) push(w http.ResponseWriter, req *http.Request, repository string) {
	tag := req.URL.Query().Get("tag")
	d.mu.Lock()
	_, found := d.has.find(repository + ":" + tag)
	var image held
	if found != nil {
		image = *found
	}
	d.mu.Unlock()
	if found == nil {
		problem(w, http.StatusNotFound, "An image does not exist locally with the tag: "+repository)
		return
	}
	reply(w, map[string]string{"status": fmt.Sprintf("The push refers to repository [%s]", repository)})
	p := newDockerPush(req, d, repository, tag)
	defer p.close()
	var err error
	if d.has.containerd {
		err = p.containerd(&image, platformOf(req.URL.Query()))
	} else {
		err = p.classic(image.members[0])
	}
	if err != nil {
		reply(w, map[string]any{"error": err.Error(), "errorDetail": map[string]string{"message": err.Error()}})
	}
}
