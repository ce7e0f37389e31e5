package ownfile

import (
	"fmt"
	"io"
	"os"
)

// Limit is more than any file of configuration has, in bytes. What is larger is
// another file, or was made to fill the memory.
const Limit = 16 << 20

// Read reads a file of configuration as [os.ReadFile] does. One above [Limit]
// is an error that names the file and the limit.
func Read(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing is written
	return readOpened(file)
}

// readOpened is [Read] of what is left of an open file, which it leaves open.
func readOpened(file *os.File) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(file, Limit+1))
	if err == nil && len(content) > Limit {
		return nil, fmt.Errorf("%s has more than %d MiB, more than a configuration file can have", file.Name(), Limit>>20)
	}
	return content, err
}
