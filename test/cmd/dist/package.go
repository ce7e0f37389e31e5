package main

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/docker-gitea/docker-gitea/test/servers"
)

// pack makes a package of a format that nfpm knows; nfpm.yaml says what is
// where in it.
func (r *release) pack(ctx context.Context, p platform, format string) error {
	nfpm, err := servers.Program("nfpm")
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, nfpm, "package", "--config", "test/cmd/dist/nfpm.yaml", "--packager", format, "--target", r.out)
	cmd.Env = append(os.Environ(),
		"VERSION="+packageVersion(r.version),
		"MAINTAINER="+r.maintainer,
		"ARCH="+p.goarch+p.goarm,
		"PROGRAMS="+r.dir(p),
		"SHARE="+r.work+"/share",
		"NOTICE="+r.notice(),
		"SOURCE_DATE_EPOCH="+strconv.FormatInt(r.date.Unix(), 10),
	)
	return quietly(cmd)
}

// packageVersion makes what git describe says a version that packages may
// have: it begins with a digit and has no hyphen, which begins the revision.
func packageVersion(version string) string {
	first, rest, more := strings.Cut(version, "-")
	if first == "" || first[0] < '0' || first[0] > '9' || !strings.Contains(first, ".") {
		return "0+" + strings.ReplaceAll(version, "-", ".")
	}
	if more {
		first += "+" + strings.ReplaceAll(rest, "-", ".")
	}
	return first
}
