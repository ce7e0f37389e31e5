package image_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// Every image of a file is listed with what it is called, and can be opened by
// what is said to select it.
func TestList(t *testing.T) {
	l := newLayout(t)
	amd64 := ocispec.Platform{OS: "linux", Architecture: "amd64"}
	one, two, three := l.image(amd64, "a"), l.image(amd64, "b"), l.image(amd64, "c")
	one.Annotations = map[string]string{"io.containerd.image.name": "docker.io/library/one:1", ocispec.AnnotationRefName: "1"}
	two.Annotations = map[string]string{ocispec.AnnotationRefName: "git.example.com/me/two:2"}
	three.Annotations = map[string]string{ocispec.AnnotationRefName: "v3"}
	l.finish(one, two, three)
	want := [][]string{{"docker.io/library/one:1"}, {"git.example.com/me/two:2"}, nil}
	for name, path := range map[string]string{"directory": l.dir(), "tar": file(t, l.tar())} {
		t.Run(name, func(t *testing.T) {
			held, err := image.List(path)
			if err != nil {
				t.Fatal(err)
			}
			var got [][]string
			for _, h := range held {
				got = append(got, h.References)
				s, err := image.Open(path, &image.Options{Name: h.Select})
				if err != nil {
					t.Fatalf("%s: %v", h.Select, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := image.List(file(t, gzipped(t, l.tar()))); !errors.Is(err, image.ErrNotImage) {
		t.Errorf("got %v of a compressed archive", err)
	}
	if _, err := image.List(file(t, l.tar()[:1024])); err == nil {
		t.Error("a torn archive is no error")
	}
}
