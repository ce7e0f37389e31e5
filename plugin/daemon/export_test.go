package daemon_test

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry/image"
)

// An export that fails on its way has the daemon's error where the archive
// breaks off, wherever that is.
func TestErrorInsideAnExport(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	if err := w.WriteHeader(&tar.Header{Name: "ab/layer.tar", Mode: 0o644, Size: 5000}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	reason := "write /var/lib/docker/tmp/docker-export-1/layer.tar: no space left on device"
	for name, message := range map[string]string{"short": reason, "longer than a header": reason + strings.Repeat(" and again", 60)} {
		for _, cut := range []int{100, 512, 3000, archive.Len()} {
			t.Run(fmt.Sprint(name, cut), func(t *testing.T) {
				client := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/_ping" {
						w.Header().Set("Api-Version", "1.48")
						return
					}
					_, _ = w.Write(archive.Bytes()[:cut])
					_, _ = fmt.Fprintf(w, `{"errorDetail":{"message":%q},"error":%q}`+"\r\n", message, message)
				}))
				stream, err := client.Save(t.Context(), "app:1", "")
				if err != nil {
					t.Fatal(err)
				}
				source, err := image.Read(stream, "app:1", nil)
				for err == nil {
					var blob *image.Blob
					if blob, err = source.Next(t.Context()); err == nil {
						var r io.ReadCloser
						if r, err = blob.Open(); err == nil {
							_, err = io.Copy(io.Discard, r)
						}
					}
				}
				if text := fmt.Sprint(err, stream.Close()); !strings.Contains(text, "no space left on device") {
					t.Errorf("the daemon's error is not in %q", text)
				}
			})
		}
	}
}

// What looks like such an error within an archive is none.
func TestNoErrorInsideAnExport(t *testing.T) {
	content := strings.Repeat(`{"errorDetail":{"message":"x"},"error":"x"}`, 200) + strings.Repeat("\x00", 1024)
	client := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Api-Version", "1.48")
		_, _ = io.WriteString(w, content)
	}))
	stream, err := client.Save(t.Context(), "app:1", "")
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(stream)
	if err != nil || string(data) != content || stream.Close() != nil {
		t.Errorf("%d bytes of %d, %v", len(data), len(content), err)
	}
}
