//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/test/servers"
)

// levelsName is the section about the levels of compression. It is measured
// last: what it takes of memory would be seen in the programs run after it.
const levelsName = "levels"

// levels compares what the levels of compression make of the toolchain image.
func levels(ctx context.Context, images *images) (string, error) {
	subject, err := images.get(ctx, toolchain, servers.Classic)
	if err != nil {
		return "", err
	}
	var compressions []image.Compression
	for _, name := range []string{"gzip:1", "gzip:3", "gzip:5", "gzip:6", "gzip:9", "zstd:1", "zstd:3", "zstd:7"} {
		c, err := image.ParseCompression(name)
		if err != nil {
			return "", err
		}
		compressions = append(compressions, c)
	}
	const rounds = 3
	results := make([][]measure, len(compressions))
	for range rounds {
		for i, c := range compressions {
			m, err := compress(subject.archive, c)
			if err != nil {
				return "", err
			}
			results[i] = append(results[i], m)
		}
	}
	byDefault, of := 0, func(i int) (sent, cpu float64) {
		return float64(results[i][0].sent), median(results[i], func(m measure) time.Duration { return m.cpu }).Seconds()
	}
	for i, c := range compressions {
		if c.String() == (image.Compression{}).String() {
			byDefault = i
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| | bytes | ÷ %s | processor | ÷ %s |\n|---|---|---|---|---|\n", levelsName, compressions[byDefault], compressions[byDefault])
	base, baseCPU := of(byDefault)
	for i, c := range compressions {
		sent, cpu := of(i)
		fmt.Fprintf(&b, "| %s | %.1f MB | %.2f | %.2f s | %.2f |\n", c, sent/1e6, sent/base, cpu, cpu/baseCPU)
	}
	return b.String(), nil
}

// compress compresses a file into nothing.
func compress(path string, c image.Compression) (m measure, err error) {
	file, err := os.Open(path)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	start, used := time.Now(), processor()
	out := &countedBytes{}
	w, err := c.NewWriter(out)
	if err != nil {
		return m, err
	}
	_, err = io.CopyBuffer(w, struct{ io.Reader }{file}, make([]byte, 256<<10))
	err = errors.Join(err, w.Close())
	return measure{wall: time.Since(start), cpu: processor() - used, sent: out.n}, err
}

// processor is the time that this process has used.
func processor() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// countedBytes counts what is written to it.
type countedBytes struct{ n int64 }

func (c *countedBytes) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
