package push

import (
	"errors"
	"testing"

	"github.com/docker-gitea/docker-gitea/registry"
)

func TestNextOfAManifest(t *testing.T) {
	t.Parallel()
	mismatch := &registry.Error{Status: 400, Kind: registry.ErrDigestMismatch}
	lost := &registry.Error{Status: 404, Kind: registry.ErrBlobUnknown}
	refused := &registry.Error{Status: 400, Kind: registry.ErrManifestInvalid}
	for _, tc := range []struct {
		name string
		from delivery
		err  error
		want manifestStep
	}{
		{"it is there", delivery{}, nil, manifestDone},
		{"distribution writes a link of what it names: again", delivery{retries: 5}, mismatch, manifestPut},
		{"and is not done by the fifth time: again", delivery{retries: 5, mismatches: 4}, mismatch, manifestPut},
		{"something mangles it each time", delivery{retries: 5, mismatches: 5}, mismatch, manifestFailed},
		{"of an index: again", delivery{retries: 5, index: true}, mismatch, manifestPut},
		{"its blobs are gone: send them", delivery{}, lost, manifestRepair},
		{"they were sent: again", delivery{step: manifestRepair, err: lost}, nil, manifestPut},
		{"they were sent, and are gone once more", delivery{repaired: true}, lost, manifestFailed},
		{"they cannot be sent", delivery{step: manifestRepair, err: lost}, errors.Join(lost, registry.ErrSource), manifestFailed},
		{"one of them is not what it should be", delivery{step: manifestRepair, err: lost, retries: 5}, mismatch, manifestFailed},
		{"the manifests of an index are gone", delivery{index: true}, lost, manifestFailed},
		{"it is refused", delivery{retries: 5}, refused, manifestFailed},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := tc.from.next(tc.err)
			if got.step != tc.want || !errors.Is(got.err, tc.err) {
				t.Errorf("got step %v after %v, want %v", got.step, got.err, tc.want)
			}
		})
	}
}
