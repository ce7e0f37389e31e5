package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Database is where a Gitea keeps everything but files.
type Database string

// The databases. MariaDB is for tests that are [Wide].
const (
	SQLite     Database = ""
	PostgreSQL Database = "postgres"
	MariaDB    Database = "mysql"
)

// service is a server that a Gitea of ours needs, and nobody else sees.
type service struct {
	dir      string
	command  command
	process  *process
	settings map[string]string // what app.ini says of it
	// statement runs the SQL statement that is added to it.
	statement []string
}

// startService runs the command and waits until ready answers nil. When that
// fails it leaves nothing behind.
func (s *service) start(ctx context.Context, ready func(context.Context) error) error {
	p, err := s.command.start()
	if err == nil {
		s.process = p
		err = p.await(ctx, ready)
	}
	if err != nil {
		return errors.Join(err, s.stop())
	}
	return nil
}

// stop ends the service and removes its data. A second call does nothing.
func (s *service) stop() error { return errors.Join(s.process.stop(), os.RemoveAll(s.dir)) }

// sql runs a statement on the database and returns what it prints.
func (s *service) sql(ctx context.Context, statement string) (string, error) {
	args := append(slices.Clone(s.statement), statement)
	out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", statement, err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// socketFolder makes a folder for a server that listens on a unix socket in
// it. The path of one has 108 bytes at most: so not in TMPDIR, which may be long.
func socketFolder(name string) (string, error) {
	dir, err := os.MkdirTemp("/tmp", name+"-")
	if err != nil {
		return "", fmt.Errorf("make folder for %s: %w", name, err)
	}
	return dir, nil
}

// sqlite is the database that is a file of the Gitea in dir.
func sqlite(dir string) *service {
	file := filepath.Join(dir, "gitea.db")
	return &service{
		settings:  map[string]string{"database.DB_TYPE": "sqlite3", "database.PATH": file},
		statement: []string{"sqlite3", "-cmd", ".timeout 10000", file},
	}
}

// startPostgreSQL starts Debian's PostgreSQL with an empty database and its defaults,
// which are 100 connections unless another number is given.
func startPostgreSQL(ctx context.Context, connections int) (*service, error) {
	initdb, err := Program("initdb")
	if err != nil {
		return nil, err
	}
	// Debian's programs stand side by side in a folder of their version.
	initdb, err = filepath.EvalSymlinks(initdb)
	if err != nil {
		return nil, fmt.Errorf("find PostgreSQL: %w", err)
	}
	dir, err := socketFolder("postgres")
	if err != nil {
		return nil, err
	}
	s := &service{
		dir: dir,
		settings: map[string]string{
			"database.DB_TYPE": "postgres", "database.HOST": dir, "database.NAME": "gitea",
			"database.USER": "postgres", "database.SSL_MODE": "disable",
		},
	}
	data := filepath.Join(dir, "data")
	user := []string{}
	if os.Geteuid() == 0 {
		// It refuses to run as root. The kernel forgets whom to kill with us
		// when a process changes its user, so setpriv says it once more.
		user = []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=KILL", "--"}
		if err := exec.CommandContext(ctx, "chown", "postgres:", dir).Run(); err != nil {
			return nil, errors.Join(fmt.Errorf("give folder to postgres: %w", err), s.stop())
		}
	}
	init := append(slices.Clone(user), initdb, "--no-sync", "--auth=trust", "--username=postgres", "--pgdata="+data)
	if err := runIn(ctx, dir, init...); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	args := append(user, filepath.Join(filepath.Dir(initdb), "postgres"), "-D", data, "-k", dir, "-c", "listen_addresses=")
	if connections > 0 {
		args = append(args, "-c", fmt.Sprint("max_connections=", connections))
	}
	client := []string{"psql", "-h", dir, "-U", "postgres", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet"}
	return s, s.startDatabase(ctx, args, sqlClient{client, "-d", "-c"}, "postgres", "CREATE DATABASE gitea")
}

// startMariaDB starts Debian's MariaDB with an empty database.
func startMariaDB(ctx context.Context) (*service, error) {
	server, err := Program("mariadbd")
	if err != nil {
		return nil, err
	}
	install, err := Program("mariadb-install-db")
	if err != nil {
		return nil, err
	}
	dir, err := socketFolder("mariadb")
	if err != nil {
		return nil, err
	}
	socket, data := filepath.Join(dir, "socket"), filepath.Join(dir, "data")
	s := &service{
		dir: dir,
		settings: map[string]string{
			"database.DB_TYPE": "mysql", "database.HOST": socket, "database.NAME": "gitea", "database.USER": "root",
		},
	}
	if err := runIn(ctx, dir, install, "--no-defaults", "--user=root", "--auth-root-authentication-method=normal", "--skip-test-db", "--datadir="+data); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	args := []string{server, "--no-defaults", "--user=root", "--datadir=" + data, "--socket=" + socket, "--pid-file=" + filepath.Join(dir, "pid"), "--skip-networking"}
	client := []string{"mariadb", "--no-defaults", "--user=root", "--socket=" + socket, "--batch", "--skip-column-names"}
	return s, s.startDatabase(ctx, args, sqlClient{client, "-D", "-e"}, "mysql", "CREATE DATABASE gitea CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
}

// sqlClient is a client of a database, which takes the name of one and a statement by
// two flags.
type sqlClient struct {
	args            []string
	name, statement string
}

// of is the client for the database with a name; the statement follows.
func (c sqlClient) of(database string) []string {
	return append(slices.Clone(c.args), c.name, database, c.statement)
}

// startDatabase runs the server in args, and makes Gitea's database with the
// client. The database called first is there from the beginning.
func (s *service) startDatabase(ctx context.Context, args []string, client sqlClient, first, create string) error {
	s.command = command{path: args[0], args: args[1:], env: []string{"PATH=" + systemPath(), "HOME=" + s.dir}, dir: s.dir}
	if path, err := systemProgram(filepath.Base(args[0])); err == nil && !filepath.IsAbs(args[0]) {
		s.command.path = path
	}
	s.statement = client.of(first)
	err := s.start(ctx, func(ctx context.Context) error {
		_, err := s.sql(ctx, "SELECT 1")
		return err
	})
	if err != nil {
		return err
	}
	if _, err := s.sql(ctx, create); err != nil {
		return errors.Join(err, s.stop())
	}
	s.statement = client.of("gitea")
	return nil
}

// runIn runs a command in a folder, and shows what it printed when it fails.
func runIn(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(args[0]), err, out)
	}
	return nil
}
