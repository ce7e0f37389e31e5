package source

import (
	"reflect"
	"testing"
)

func TestParseSource(t *testing.T) {
	layouts := map[string]bool{"build/oci": true, "app": false, "layout": true}
	for _, test := range []struct {
		arg  string
		want Source
	}{
		{"-", Source{Kind: Stdin, Name: "-"}},
		{"app", Source{Kind: Daemon, Name: "app"}},
		{"app:dev", Source{Kind: Daemon, Name: "app:dev"}},
		{"git.example.com/me/app:1", Source{Kind: Daemon, Name: "git.example.com/me/app:1"}},
		{"docker:27-dind", Source{Kind: Daemon, Name: "docker:27-dind"}},
		{"docker-daemon:layout", Source{Kind: Daemon, Name: "layout"}},
		{"docker-daemon:x.tar", Source{Kind: Daemon, Name: "x.tar"}},
		{"./app", Source{Kind: Path, Name: "./app"}},
		{"../app", Source{Kind: Path, Name: "../app"}},
		{".", Source{Kind: Path, Name: "."}},
		{"/tmp/app", Source{Kind: Path, Name: "/tmp/app"}},
		{"app.tar", Source{Kind: Path, Name: "app.tar"}},
		{"out/app.tar.gz", Source{Kind: Path, Name: "out/app.tar.gz"}},
		{"layout", Source{Kind: Path, Name: "layout"}},
		{"build/oci", Source{Kind: Path, Name: "build/oci"}},
		{"oci:build", Source{Kind: Path, transport: "oci:", Name: "build"}},
		{"oci:build:v1", Source{Kind: Path, transport: "oci:", Name: "build", Image: "v1"}},
		{"oci:build:docker.io/library/app:1", Source{Kind: Path, transport: "oci:", Name: "build", Image: "docker.io/library/app:1"}},
		{"oci-archive:x.tar:v1", Source{Kind: Path, transport: "oci-archive:", Name: "x.tar", Image: "v1"}},
		{"docker-archive:/tmp/x.tar", Source{Kind: Path, transport: "docker-archive:", Name: "/tmp/x.tar"}},
		{"docker-archive:x.tar:app:1", Source{Kind: Path, transport: "docker-archive:", Name: "x.tar", Image: "app:1"}},
		{"docker-archive:x.tar:@1", Source{Kind: Path, transport: "docker-archive:", Name: "x.tar", Image: "@1"}},
		{"dir:a:b", Source{Kind: Path, transport: "dir:", Name: "a:b"}},
		{"docker-daemon:oci:latest", Source{Kind: Daemon, Name: "oci:latest"}},
	} {
		t.Run(test.arg, func(t *testing.T) {
			got := Parse(test.arg, func(path string) bool { return layouts[path] })
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
			if got.transport == "" && transportOf(got.Name) == "" {
				return
			}
			if again := Parse(got.String(), IsLayout); !reflect.DeepEqual(again, got) {
				t.Errorf("%q is %+v, want %+v", got, again, got)
			}
		})
	}
}
