package credhelper

import (
	"io/fs"
	"os/exec"
)

func runAs(*exec.Cmd, int) {}

func ownedBy(fs.FileInfo, int) bool { return true }
