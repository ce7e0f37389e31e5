package image

import (
	"context"
	"errors"
	"io"
)

var errStub = errors.New("not written yet")

type Compression struct {
	Algorithm string `json:"algorithm,omitempty"`
	Level     int    `json:"level,omitempty"`
}

func (c Compression) Validate() error { return nil }

type Source struct{}

func Open(path string, opts *Options) (*Source, error)              { return nil, errStub }
func Read(r io.Reader, name string, opts *Options) (*Source, error) { return nil, errStub }
func (s *Source) Next(ctx context.Context) (*Blob, error)           { return nil, errStub }
func (s *Source) Finish(sent map[string]Sent) (*Image, error)       { return nil, errStub }
func (s *Source) Close() error                                      { return nil }
