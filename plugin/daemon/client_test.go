package daemon_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/plugin/daemon"
)

// engine is a daemon that knows the calls that the client needs.
type engine struct {
	api  string
	info string // in place of the usual one
	// asked are the paths and queries of the requests, but for the ping.
	asked []string
}

const (
	appID  = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	images = `[
		{"Id":"` + appID + `","RepoTags":["app:dev","app:1","git.example.com/me/app:1"]},
		{"Id":"sha256:2222222222222222222222222222222222222222222222222222222222222222","RepoTags":["app:2","<none>:<none>"]},
		{"Id":"sha256:3333333333333333333333333333333333333333333333333333333333333333"}
	]`
)

func (e *engine) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path == "/_ping" {
		w.Header().Set("Api-Version", e.api)
		return
	}
	e.asked = append(e.asked, req.URL.String())
	path, found := strings.CutPrefix(req.URL.Path, "/v"+e.api)
	switch {
	case !found:
		http.Error(w, `{"message":"client version is too old"}`, http.StatusBadRequest)
	case path == "/images/json":
		fmt.Fprint(w, images)
	case path == "/images/app:dev/json", path == "/images/app/json", path == "/images/111111111111/json":
		fmt.Fprintf(w, `{"Id":%q,"RepoTags":["app:dev","app:latest"]}`, appID)
	case path == "/info" && e.info != "":
		fmt.Fprint(w, e.info)
	case path == "/info":
		fmt.Fprint(w, `{"RegistryConfig":{"InsecureRegistryCIDRs":["::1/128","127.0.0.0/8"],"IndexConfigs":{"docker.io":{"Secure":true},"git.example.com:3000":{"Secure":false}}}}`)
	case path == "/images/get":
		fmt.Fprint(w, "a tar")
	case (path == "/images/part/json" || path == "/images/none/json") && req.URL.Query().Get("manifests") != "1":
		fmt.Fprint(w, `{}`)
	case path == "/images/part/json":
		fmt.Fprint(w, `{"Manifests":[
			{"ID":"sha256:a","Available":false,"Kind":"image","ImageData":{"Platform":{"os":"linux","architecture":"amd64"}}},
			{"ID":"sha256:b","Available":true,"Kind":"image","ImageData":{"Platform":{"os":"linux","architecture":"arm64","variant":"v8"}}},
			{"ID":"sha256:c","Available":true,"Kind":"attestation"}]}`)
	case path == "/images/none/json":
		fmt.Fprint(w, `{"Manifests":[
			{"Available":false,"Kind":"image","ImageData":{"Platform":{"os":"linux","architecture":"amd64"}}},
			{"Available":true,"Kind":"attestation"}]}`)
	case path == "/images/broken/json":
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, `{"message":"disk full"}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"message":"No such image"}`)
	}
}

// connect starts a daemon behind a unix socket.
func connect(t *testing.T, h http.Handler) *daemon.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: h}}
	server.Start()
	t.Cleanup(server.Close)
	client, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: "unix://" + socket, Origin: "--host"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func TestImage(t *testing.T) {
	client := connect(t, &engine{api: "1.41"})
	for _, test := range []struct{ name, want string }{
		{"app:dev", "app:dev"},
		{"app", "app:latest"},
		{"111111111111", appID},
	} {
		t.Run(test.name, func(t *testing.T) {
			image, err := client.Image(t.Context(), test.name)
			if err != nil {
				t.Fatal(err)
			}
			if image.ID != appID || image.Export != test.want {
				t.Errorf("got ID %s, export %q; want %s, %q", image.ID, image.Export, appID, test.want)
			}
		})
	}
}

func TestLacks(t *testing.T) {
	for _, test := range []struct {
		api, image, platform string
		want                 bool
	}{
		{"1.48", "none", "", true},
		{"1.48", "none", "linux/amd64", true},
		{"1.48", "none", "linux/arm64", false}, // the push will say that there is no such platform
		{"1.47", "none", "", false},            // the daemon does not tell
		{"1.48", "part", "", false},
		{"1.48", "part", "linux/amd64", true},
		{"1.48", "part", "linux/amd64/v1", true}, // another spelling
		{"1.48", "part", "linux/arm64/v8", false},
		{"1.48", "app:dev", "", false}, // the classic store names no manifests
	} {
		t.Run(test.api+" "+test.image+" "+test.platform, func(t *testing.T) {
			image, err := connect(t, &engine{api: test.api}).Image(t.Context(), test.image)
			if got := image.Lacks(test.platform); err != nil || got != test.want {
				t.Errorf("got %v, %v; want %v", got, err, test.want)
			}
		})
	}
}

// What is pushed of an index is known by the manifest that it will be.
func TestPushedOfAnIndex(t *testing.T) {
	manifest := func(id, kind, platform string, available bool) daemon.Manifest {
		m := daemon.Manifest{ID: id, Kind: kind, Available: available}
		m.ImageData.Platform.OS, m.ImageData.Platform.Architecture, _ = strings.Cut(platform, "/")
		return m
	}
	attestation := manifest("attestation", "attestation", "unknown/unknown", true)
	for _, test := range []struct {
		name, platform, want string
		manifests            []daemon.Manifest
	}{
		{"an old daemon", "", "index", nil},
		{"all is held", "", "index", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), manifest("b", "image", "linux/arm64", true)}},
		{"one is held", "", "b", []daemon.Manifest{manifest("a", "image", "linux/amd64", false), manifest("b", "image", "linux/arm64", true)}},
		{"two of three are held", "", "index", []daemon.Manifest{manifest("a", "image", "linux/amd64", false), manifest("b", "image", "linux/arm64", true), manifest("c", "image", "linux/arm", true)}},
		{"built here", "", "index", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), attestation}},
		{"pulled without its attestation", "", "a", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), manifest("c", "attestation", "unknown/unknown", false)}},
		{"a platform", "linux/arm64/v8", "b", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), manifest("b", "image", "linux/arm64", true), attestation}},
		{"a platform that is not there", "linux/arm", "index", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), attestation}},
		{"a platform twice", "linux/amd64", "index", []daemon.Manifest{manifest("a", "image", "linux/amd64", true), manifest("b", "image", "linux/amd64", true)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			image := daemon.Image{ID: "index", Manifests: test.manifests}
			if got := image.Pushed(test.platform); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

// Of a part of an index that has several images one has to be asked for: the
// daemon's own choice is told to nobody.
func TestChoicesOfAnIndex(t *testing.T) {
	manifest := func(kind, architecture string, available bool) daemon.Manifest {
		m := daemon.Manifest{ID: architecture, Kind: kind, Available: available}
		m.ImageData.Platform.OS, m.ImageData.Platform.Architecture = "linux", architecture
		return m
	}
	amd64, arm64, without := manifest("image", "amd64", true), manifest("image", "arm64", true), manifest("image", "riscv64", false)
	for _, test := range []struct {
		name      string
		manifests []daemon.Manifest
		want      []string
	}{
		{"a daemon that does not tell", nil, nil},
		{"all is held", []daemon.Manifest{amd64, arm64}, nil},
		{"one is held", []daemon.Manifest{amd64, without}, nil},
		{"none is held", []daemon.Manifest{without, without}, nil},
		{"two of three are held", []daemon.Manifest{amd64, without, arm64}, []string{"linux/amd64", "linux/arm64"}},
		{"all but an attestation", []daemon.Manifest{amd64, arm64, manifest("attestation", "unknown", false)}, []string{"linux/amd64", "linux/arm64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := (daemon.Image{Manifests: test.manifests}).Choices(); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestImageFailures(t *testing.T) {
	client := connect(t, &engine{api: "1.41"})
	for _, test := range []struct{ name, want, hint string }{
		{"app:devv", `no image "app:devv" in the docker daemon at unix://`, "did you mean app:1, app:2, app:dev?"},
		{"ap:dev", `no image "ap:dev"`, "did you mean app:dev"},
		{"something-else", `no image "something-else"`, "docker images"},
		{"App:dev", `image "App:dev": invalid reference format`, ""},
		{"broken", "docker daemon: inspect image: 500 Internal Server Error: disk full", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := client.Image(t.Context(), test.name)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			var hinted interface{ Hint() string }
			if test.hint != "" && (!errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), test.hint)) {
				t.Errorf("got %#v, want the hint %q", err, test.hint)
			}
		})
	}
}

func TestSave(t *testing.T) {
	for _, test := range []struct{ api, platform, want string }{
		{"1.41", "", "/v1.41/images/get?names=app%3Adev"},
		{"1.47", "linux/arm64", "/v1.47/images/get?names=app%3Adev"},
		{"1.48", "linux/arm64", "/v1.48/images/get?names=app%3Adev&platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D"},
		{"1.52", "linux/arm/v7", "/v1.52/images/get?names=app%3Adev&platform=%7B%22os%22%3A%22linux%22%2C%22architecture%22%3A%22arm%22%2C%22variant%22%3A%22v7%22%7D"},
	} {
		t.Run(test.api+" "+test.platform, func(t *testing.T) {
			e := &engine{api: test.api}
			stream, err := connect(t, e).Save(t.Context(), "app:dev", test.platform)
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(stream)
			if err := errors.Join(err, stream.Close()); err != nil {
				t.Fatal(err)
			}
			if string(content) != "a tar" || e.asked[0] != test.want {
				t.Errorf("got %q from %s, want %s", content, e.asked[0], test.want)
			}
		})
	}
}

func TestTagsAndNames(t *testing.T) {
	client := connect(t, &engine{api: "1.54"})
	tags, err := client.Tags(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if len(tags) != 3 || tags["dev"].ID != tags["1"].ID || tags["2"].Export != "app:2" {
		t.Errorf("got %v, want dev and 1 of one image, and 2 of another", tags)
	}
	names, err := client.Names(t.Context())
	if want := []string{"app:1", "app:2", "app:dev", "git.example.com/me/app:1"}; err != nil || !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, %v; want %v", names, err, want)
	}
	var missing *daemon.NotFoundError
	if _, err := client.Tags(t.Context(), "nothing"); !errors.As(err, &missing) {
		t.Errorf("got %v, want a NotFoundError", err)
	}
}

func TestConnectFailures(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	secured.StartTLS()
	t.Cleanup(secured.Close)
	known := httptest.NewServer(&engine{api: "1.48"})
	t.Cleanup(known.Close)
	engine := known.Listener.Addr().String()
	for _, test := range []struct {
		name     string
		endpoint daemon.Endpoint
		want     string
		is       error
	}{
		{
			"no socket",
			daemon.Endpoint{Host: "unix:///no/such/docker.sock", Origin: "docker's default"},
			"cannot reach the docker daemon at unix:///no/such/docker.sock (from docker's default): ", fs.ErrNotExist,
		},
		{"no daemon", daemon.Endpoint{Host: "tcp://" + other.Listener.Addr().String()}, "is no docker daemon", nil},
		{"TLS, and asked without", daemon.Endpoint{Host: "tcp://" + secured.Listener.Addr().String(), Origin: "DOCKER_HOST"}, "is no docker daemon: 400 Bad Request: Client sent an HTTP request to an HTTPS server", nil},
		{"no TLS, and asked with it", daemon.Endpoint{Host: "tcp://" + other.Listener.Addr().String(), TLS: &tls.Config{}}, "server gave HTTP response to HTTPS client", nil},
		{"a malformed version", daemon.Endpoint{Host: "tcp://" + engine, APIVersion: "new"}, `DOCKER_API_VERSION: API version "new", which is none such as 1.41`, nil},
		{"unknown protocol", daemon.Endpoint{Host: "gopher://x", Origin: "DOCKER_HOST"}, `docker host "gopher://x" (from DOCKER_HOST) has the unknown protocol "gopher"`, nil},
		{"malformed ssh", daemon.Endpoint{Host: "ssh://a:b@host"}, "ssh", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := daemon.Connect(t.Context(), test.endpoint)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q", err, test.want)
			}
			if test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v does not wrap %v", err, test.is)
			}
		})
	}
}

// What answers in the place of a daemon is told apart by what it says.
func TestForeignHints(t *testing.T) {
	endpoint := daemon.Endpoint{Host: "tcp://docker:2376", Origin: "DOCKER_HOST"}
	for message, want := range map[string]string{
		"Client sent an HTTP request to an HTTPS server.": "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH",
		"<html>sign in": "name the host in NO_PROXY",
	} {
		err := &daemon.ForeignError{Endpoint: endpoint, Status: http.StatusForbidden, Message: message}
		if !strings.Contains(err.Hint(), want) || strings.Contains(err.Error(), "<html>") {
			t.Errorf("%s: got %v: %s", message, err, err.Hint())
		}
	}
}

// Podman says who it is, and calls what has no registry "localhost".
func TestPodman(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Libpod-Api-Version", "4.3.1")
		w.Header().Set("Api-Version", "1.41")
		if strings.HasSuffix(req.URL.Path, "/images/json") {
			fmt.Fprint(w, `[{"Id":"`+appID+`","RepoTags":["localhost/app:dev","localhost/app:1","docker.io/library/hub:1"]}]`)
		}
	}))
	t.Cleanup(srv.Close)
	client, err := daemon.Connect(t.Context(), daemon.Endpoint{Host: "tcp://" + srv.Listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	if !client.Podman() {
		t.Error("podman passes for docker")
	}
	for name, want := range map[string]string{"app": "localhost/app:dev", "localhost/app": "localhost/app:dev", "hub": ""} {
		tags, err := client.Tags(t.Context(), name)
		if err != nil || tags["dev"].Export != want {
			t.Errorf("%s: got %v, %v", name, tags, err)
		}
	}
}

func TestUnreachableHints(t *testing.T) {
	for _, test := range []struct {
		origin string
		cause  error
		want   string
	}{
		{"docker's default", os.ErrPermission, "usermod -aG docker"},
		{`context "x"`, os.ErrNotExist, "docker context ls"},
		{"DOCKER_HOST", os.ErrNotExist, "is DOCKER_HOST right"},
		{"DOCKER_HOST", errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP status code "pid"`), `"ssh me@build true" has to print nothing`},
		{"DOCKER_HOST", errors.New("http: server gave HTTP response to HTTPS client"), "unset DOCKER_TLS_VERIFY"},
	} {
		err := &daemon.UnreachableError{Endpoint: daemon.Endpoint{Host: "ssh://me@build", Origin: test.origin}, Err: test.cause}
		if got := err.Hint(); !strings.Contains(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.origin, got, test.want)
		}
	}
}

// With containerd's store, only localhost and addresses of this machine need no
// certificate, unless something else was configured.
func TestInsecureWithContainerd(t *testing.T) {
	t.Parallel()
	const said = `{"DriverStatus":[["driver-type","io.containerd.snapshotter.v1"]],"RegistryConfig":{"InsecureRegistryCIDRs":["::1/128","127.0.0.0/8"%s],"IndexConfigs":{%s},"Mirrors":[%s]}}`
	for name, tc := range map[string]struct {
		prefix, index, mirror string
	}{
		"nothing":  {"", `"docker.io":{"Secure":true}`, ""},
		"a prefix": {`,"192.0.2.0/24"`, "", ""},
		"a name":   {"", `"git.example.com":{"Secure":false}`, ""},
		"a mirror": {"", "", `"https://mirror.example.com/"`},
	} {
		info, err := connect(t, &engine{api: "1.52", info: fmt.Sprintf(said, tc.prefix, tc.index, tc.mirror)}).Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for host, want := range map[string]bool{"localhost:3000": true, "127.0.0.1": true, "[::1]:3000": true, "198.51.100.1": false, "192.0.2.1:3000": tc.prefix != ""} {
			if got := info.Insecure(t.Context(), host); got != want {
				t.Errorf("%s, %s: got %v, want %v", name, host, got, want)
			}
		}
	}
}

func TestInsecure(t *testing.T) {
	info, err := connect(t, &engine{api: "1.41"}).Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"docker.io": false, "git.example.com:3000": true, "127.0.0.1:3000": true, "127.0.0.1": true, "[::1]:3000": true, "192.0.2.1:3000": false, "no-such-host.invalid": false,
	} {
		if got := info.Insecure(t.Context(), host); got != want {
			t.Errorf("%s: got %v, want %v", host, got, want)
		}
	}
}
