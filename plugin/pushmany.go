package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/docker-gitea/docker-gitea/plugin/fault"
	"github.com/docker-gitea/docker-gitea/plugin/print"
	"github.com/docker-gitea/docker-gitea/plugin/progress"
)

// imagesAtOnce is how many images are pushed side by side. Each sends several
// layers at a time.
const imagesAtOnce = 3

// all pushes many images. What one fails for does not keep the others from being
// pushed.
func (p *pusher) all(ctx context.Context) ending {
	n := len(p.plan.jobs)
	e := ending{begun: make([][]print.Outcome, n), errs: make([]error, n)}
	found, layers := p.look(ctx, e.errs)
	p.tellOnce()
	after := firstHolders(layers)
	ended := make([]chan struct{}, n)
	places := make(chan struct{}, imagesAtOnce)
	var group sync.WaitGroup
	for i := range p.plan.jobs {
		ended[i] = make(chan struct{})
		group.Go(func() {
			defer close(ended[i])
			for _, other := range after[i] {
				<-ended[other]
			}
			places <- struct{}{}
			defer func() { <-places }()
			if e.errs[i] == nil && ctx.Err() != nil {
				e.errs[i] = context.Cause(ctx)
			}
			if e.errs[i] == nil {
				e.begun[i], e.errs[i] = p.pieces(ctx, found[i])
			}
			e.errs[i] = outOfTime(ctx, errors.Join(e.errs[i], dropped(found[i])))
			p.failed(p.plan.jobs[i].source.String(), e.errs[i])
		})
	}
	group.Wait()
	if e.err = fault.Several(e.errs); e.err != nil && p.plan.general.Mode() != progress.ModeJSON {
		_, _ = fmt.Fprintln(p.Stderr, e.err)
	}
	return e
}

// lookedAtOnce is how many images are looked at side by side: to open one of a
// registry is a request or more.
const lookedAtOnce = 8

// look finds what each job names, and its layers. errs gets why one could not be
// found.
func (p *pusher) look(ctx context.Context, errs []error) (found [][]piece, layers [][]string) {
	found, layers = make([][]piece, len(errs)), make([][]string, len(errs))
	var group errgroup.Group
	group.SetLimit(lookedAtOnce)
	for i, j := range p.plan.jobs {
		group.Go(func() error {
			if found[i], errs[i] = p.find(ctx, j); errs[i] == nil {
				layers[i], errs[i] = layersOf(ctx, found[i])
			}
			return nil
		})
	}
	_ = group.Wait() // each has an error of its own
	return found, layers
}

// dropped closes what pieces have left open.
func dropped(pieces []piece) error {
	var errs []error
	for _, piece := range pieces {
		errs = append(errs, piece.origin.drop())
	}
	return errors.Join(errs...)
}

// storedAsOne refuses two images that the registry has stored under one tag, since
// it folds tags: the plan cannot know which registries do.
func storedAsOne(begun [][]print.Outcome) error {
	stored := map[string]print.Outcome{}
	for _, o := range slices.Concat(begun...) {
		for _, tag := range o.Result.Tags {
			name := o.Familiar() + ":" + tag
			other, is := stored[name]
			if is && other.Result.Digest != o.Result.Digest {
				return fault.WithHint(fmt.Errorf("the registry stores tags in lower case: %s and %s are one tag, and only one of the two images has it", other, o), "push one of them with another tag")
			}
			stored[name] = o
		}
	}
	return nil
}

// layersOf are the layers of all pieces of a job.
func layersOf(ctx context.Context, pieces []piece) (all []string, err error) {
	for _, piece := range pieces {
		layers, err := piece.origin.layers(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, layers...)
	}
	return all, nil
}

// firstHolders says for each image which of the earlier ones it has to wait for,
// so that a layer which several have is sent once: by the first that has it. The
// others find it in the registry then.
func firstHolders(layers [][]string) [][]int {
	first := map[string]int{}
	after := make([][]int, len(layers))
	for i, names := range layers {
		waits := map[int]bool{}
		for _, name := range names {
			holder, held := first[name]
			switch {
			case !held:
				first[name] = i
			case holder != i && !waits[holder]:
				waits[holder] = true
				after[i] = append(after[i], holder)
			}
		}
	}
	return after
}

// tellOnce shows the notices of the plan, which are not of one image.
func (p *pusher) tellOnce() {
	if p.unheard {
		return
	}
	for _, notice := range p.plan.notices {
		p.tell(notice)
	}
}

// failed tells at once why an image is not pushed.
func (p *pusher) failed(name string, err error) {
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return
	case p.plan.general.Mode() == progress.ModeJSON:
		why := fault.Explain(err)
		progress.Failed(p.Stderr, name+": "+why.Message, why.Cause, why.Hint)
		return
	}
	_, _ = io.WriteString(p.Stderr, strings.TrimRight(fmt.Sprintf("%s: %s", name, fault.Explain(err)), "\n")+"\n")
}
