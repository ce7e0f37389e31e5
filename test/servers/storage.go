package servers

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// Storage is where a Gitea keeps files, packages among them.
type Storage string

// The storages. With the last two Gitea redirects downloads to the storage.
const (
	Disk          Storage = ""
	S3            Storage = "s3"
	S3Direct      Storage = "s3 direct" // with TLS
	S3DirectPlain Storage = "s3 direct, plain"
)

// startS3 starts a Versity gateway, which offers a folder by the S3 protocol,
// with one empty bucket. Its authority is ca.pem in its folder, and the ca.crt
// of its host in certs.d there.
func startS3(ctx context.Context, kind Storage) (*service, error) {
	program, err := Program("versitygw")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "s3-")
	if err != nil {
		return nil, fmt.Errorf("make folder for the storage: %w", err)
	}
	s := &service{dir: dir}
	port, err := FreePort()
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	address, secret := net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), rand.Text()
	s.settings = map[string]string{
		"storage.STORAGE_TYPE":            "minio",
		"storage.MINIO_ENDPOINT":          address,
		"storage.MINIO_ACCESS_KEY_ID":     "gitea",
		"storage.MINIO_SECRET_ACCESS_KEY": secret,
		"storage.MINIO_BUCKET":            "gitea",
		"storage.MINIO_LOCATION":          "us-east-1",
		"storage.MINIO_USE_SSL":           strconv.FormatBool(kind == S3Direct),
		"storage.SERVE_DIRECT":            strconv.FormatBool(kind == S3Direct || kind == S3DirectPlain),
	}
	for _, name := range []string{"buckets/gitea", "certs.d/" + address} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return nil, errors.Join(err, s.stop())
		}
	}
	args := []string{"--port", address}
	if kind == S3Direct {
		cert, err := issue(dir, localNames...)
		if err == nil {
			err = copyTree(filepath.Join(dir, "certs.d", address, "ca.crt"), filepath.Join(dir, "ca.pem"))
		}
		if err != nil {
			return nil, errors.Join(err, s.stop())
		}
		args = append(args, "--cert", cert.certFile, "--key", cert.keyFile)
	}
	s.command = command{
		path: program, args: append(args, "posix", filepath.Join(dir, "buckets")),
		env: []string{"HOME=" + dir, "ROOT_ACCESS_KEY=gitea", "ROOT_SECRET_KEY=" + secret}, dir: dir,
	}
	return s, s.start(ctx, func(ctx context.Context) error {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
}
