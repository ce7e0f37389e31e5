package remote_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
)

// rated pushes a layout at a rate over a line that is quicker, and gives how long
// that took, in the test's own time.
func rated(t *testing.T, line slowLine, dir string, rate *remote.Rate, opts registry.PushOptions) (time.Duration, error) {
	t.Helper()
	c, err := remote.New(registry.RegistryConfig{URL: "https://git.example.com", Auth: registry.AuthConfig{Token: registrytest.Token}}, &remote.Options{Transport: line, Rate: rate})
	if err != nil {
		t.Fatal(err)
	}
	source, err := image.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	opts.Source = source
	start := time.Now()
	err = c.Push(t.Context(), "alice/app:1", opts)
	return time.Since(start), err
}

func quickLine(limit time.Duration) slowLine {
	return slowLine{
		registry: registrytest.New(registrytest.Config{}), rate: 1_000_000_000, limit: limit, status: 408,
		turn: make(chan struct{}, 8), ended: new(atomic.Int64),
	}
}

// All connections together send as much as the rate allows, no less, and what is
// shown of it is what was sent.
func TestRateOfAllConnections(t *testing.T) {
	t.Parallel()
	dir := writeLayout(t, noise(t, 1, 5_000_000), noise(t, 2, 6_000_000), noise(t, 3, 7_000_000), noise(t, 4, 8_000_000))
	synctest.Test(t, func(t *testing.T) {
		rate, start, shown := remote.NewRate(1_000_000), time.Now(), map[string]int64{}
		took, err := rated(t, quickLine(time.Hour), dir, rate, registry.PushOptions{Progress: func(e registry.Event) {
			if e.Status != registry.StatusPushing {
				return
			}
			shown[e.Name] = e.Current
			sum := int64(0)
			for _, n := range shown {
				sum += n
			}
			if most := int64((time.Since(start) + time.Second).Seconds() * 1_000_000); sum > most {
				t.Errorf("%d bytes are shown after %v", sum, time.Since(start))
			}
		}})
		if err != nil || took < 25*time.Second || took > 27*time.Second {
			t.Errorf("got 26 MB in %v, %v, want 26 s", took, err)
		}
	})
}

// Clients that share a rate have one line.
func TestRateOfTwoClients(t *testing.T) {
	t.Parallel()
	one, other := writeLayout(t, noise(t, 1, 5_000_000)), writeLayout(t, noise(t, 2, 5_000_000))
	synctest.Test(t, func(t *testing.T) {
		rate, start, ended := remote.NewRate(1_000_000), time.Now(), make(chan error)
		for _, dir := range []string{one, other} {
			go func() {
				_, err := rated(t, quickLine(time.Hour), dir, rate, registry.PushOptions{})
				ended <- err
			}()
		}
		if err := errors.Join(<-ended, <-ended); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < 9*time.Second || took > 11*time.Second {
			t.Errorf("got 10 MB in %v, want 10 s", took)
		}
	})
}

// A rate is no silence, and keeps neither a limit of time nor smaller requests from
// what they are for.
func TestRateAndOtherLimits(t *testing.T) {
	t.Parallel()
	small, large := writeLayout(t, noise(t, 1, 400_000)), writeLayout(t, noise(t, 2, 8_000_000))
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		took, err := rated(t, quickLine(time.Hour), small, remote.NewRate(2000), registry.PushOptions{Progress: func(e registry.Event) { notes = append(notes, e.Note) }})
		if err != nil || took < 190*time.Second || strings.Contains(strings.Join(notes, "\n"), "nothing has moved") {
			t.Errorf("slow: got %v after %v, and was told %q", err, took, notes)
		}
		took, err = rated(t, quickLine(time.Hour), large, remote.NewRate(100_000), registry.PushOptions{Timeout: 5 * time.Second})
		if !errors.Is(err, context.DeadlineExceeded) || took < 5*time.Second || took > 11*time.Second {
			t.Errorf("timeout: got %v after %v", err, took)
		}
		line := quickLine(time.Minute)
		took, err = rated(t, line, large, remote.NewRate(100_000), registry.PushOptions{})
		if err != nil || line.ended.Load() == 0 {
			t.Errorf("smaller requests: got %v after %v, and %d were ended", err, took, line.ended.Load())
		}
	})
}
