package push

import (
	"context"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
)

// observer hears of the upload of a blob; it implements [upload.Observer].
type observer struct {
	push *push
	blob *image.Blob
}

func (o observer) Event(e registry.Event) {
	e.Name, e.ID = o.blob.Name, shortID(o.blob)
	o.push.record.emit(e)
}

func (o observer) Note(text string) { o.push.record.note("%s", text) }

func (o observer) Debug(ctx context.Context, what string, err error) { o.push.debug(ctx, what, err) }

func (o observer) Sent(bytes int64) { o.push.record.bytesSent.Add(bytes) }

func (o observer) Retried() { o.push.record.retries.Add(1) }

func (o observer) Refused() (before bool) { return o.push.record.refused.Swap(true) }

func (o observer) Narrow() { o.push.gate.narrow() }

func (o observer) Turn(ctx context.Context) error { return o.push.gate.yield(ctx) }

func (o observer) Width() int { return o.push.gate.size() }
