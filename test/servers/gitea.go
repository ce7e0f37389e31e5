package servers

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The administrator of every Gitea.
const (
	AdminUser     = "gitea-admin"
	AdminPassword = "admin password"
)

// GiteaOptions changes how a Gitea is set up.
// The zero value is HTTPS with Gitea's own kind of self-signed certificate,
// SQLite, and everything else as Gitea has it by default.
type GiteaOptions struct {
	// Settings go into app.ini over what this package sets. Keys are
	// "section.KEY", such as "packages.LIMIT_SIZE_CONTAINER".
	Settings map[string]string
	// Port to listen on; 0 takes a free one.
	Port int
	// PlainHTTP serves HTTP.
	PlainHTTP bool
	// Names are what the certificate is issued for; nil means localhost,
	// 127.0.0.1, ::1 and gitea.localtest.me.
	Names []string
	// Forgejo starts a Forgejo, which takes the same settings and commands.
	Forgejo bool
	// Older starts the Gitea of the release before, 1.26.
	Older bool
	// Database and Storage are where it keeps its data.
	Database Database
	Storage  Storage
	// Connections are how many PostgreSQL allows; 0 are its 100.
	Connections int
}

func (o GiteaOptions) program() string {
	switch {
	case o.Forgejo:
		return "forgejo"
	case o.Older:
		return "gitea-1.26"
	}
	return "gitea"
}

// Gitea is a running Gitea with one user, AdminUser.
type Gitea struct {
	*Server
	adminToken string
	database   *service
	storage    *service // nil when that is the disk
}

// StartGitea sets up a new, empty Gitea and starts it.
func StartGitea(ctx context.Context, opts GiteaOptions) (*Gitea, error) {
	program, err := Program(opts.program())
	if err != nil {
		return nil, err
	}
	s, err := listen(opts.program(), opts.Port, opts.PlainHTTP)
	if err != nil {
		return nil, err
	}
	g := &Gitea{Server: s}
	g.path = "/api/healthz"
	g.ready = func(status int) bool { return status == http.StatusOK }
	g.command = command{
		path: program,
		args: []string{"web", "--config", g.config()},
		env:  []string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.Dir, "GITEA_WORK_DIR=" + s.Dir},
		dir:  s.Dir,
	}
	err = errors.Join(g.startDatabase(ctx, opts), g.startStorage(ctx, opts.Storage))
	if err == nil {
		err = g.setUp(ctx, filepath.Dir(program), opts)
	}
	if err == nil {
		err = g.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

func (g *Gitea) startDatabase(ctx context.Context, opts GiteaOptions) (err error) {
	switch opts.Database {
	case PostgreSQL:
		g.database, err = startPostgreSQL(ctx, opts.Connections)
	case MariaDB:
		g.database, err = startMariaDB(ctx)
	default:
		g.database = sqlite(g.Dir)
	}
	return err
}

func (g *Gitea) startStorage(ctx context.Context, kind Storage) (err error) {
	if kind == Disk {
		return nil
	}
	if g.storage, err = startS3(ctx, kind); err == nil && kind == S3Direct {
		g.CertDir = filepath.Join(g.storage.dir, "certs.d")
		g.command.env = append(g.command.env, "SSL_CERT_FILE="+filepath.Join(g.storage.dir, "ca.pem"))
	}
	return err
}

// Stop ends the server, its database and its storage, and removes their data.
// A second call does nothing.
func (g *Gitea) Stop() error {
	err := g.Server.Stop()
	for _, s := range []*service{g.database, g.storage} {
		if s != nil {
			err = errors.Join(err, s.stop())
		}
	}
	return err
}

// Forgejo reports whether it is one.
func (g *Gitea) Forgejo() bool { return filepath.Base(g.command.path) == "forgejo" }

// Older reports whether it is of the release before.
func (g *Gitea) Older() bool { return filepath.Base(g.command.path) == "gitea-1.26" }

func (g *Gitea) config() string { return filepath.Join(g.Dir, "app.ini") }

// setUp writes the configuration, the certificate, the database and the administrator.
func (g *Gitea) setUp(ctx context.Context, static string, opts GiteaOptions) error {
	settings, err := g.settings(static, opts.PlainHTTP)
	if err != nil {
		return err
	}
	maps.Copy(settings, g.database.settings)
	if g.storage != nil {
		maps.Copy(settings, g.storage.settings)
	}
	maps.Copy(settings, opts.Settings)
	if err := os.WriteFile(g.config(), appINI(settings), 0o600); err != nil {
		return fmt.Errorf("write app.ini: %w", err)
	}
	if !opts.PlainHTTP {
		if err := g.makeCertificate(ctx, opts.Names); err != nil {
			return err
		}
	}
	if _, err := g.Command(ctx, "migrate"); err != nil {
		return err
	}
	if _, err := g.Command(ctx, "admin", "user", "create", "--admin", "--must-change-password=false",
		"--username", AdminUser, "--password", AdminPassword, "--email", AdminUser+"@example.com"); err != nil {
		return err
	}
	g.adminToken, err = g.CreateToken(ctx, AdminUser, "all")
	return err
}

// makeCertificate makes a self-signed certificate, by Gitea's own command.
func (g *Gitea) makeCertificate(ctx context.Context, names []string) error {
	if names == nil {
		names = localNames
	}
	if _, err := g.Command(ctx, "cert", "--ca", "--ecdsa-curve", "P256", "--host", strings.Join(names, ",")); err != nil {
		return err
	}
	return os.Rename(filepath.Join(g.Dir, "cert.pem"), g.CAFile) // the key is key.pem already
}

// RenewCertificate restarts the server with another self-signed certificate,
// as one comes back that makes its certificate when it starts.
func (g *Gitea) RenewCertificate(ctx context.Context) error {
	g.Kill()
	if err := g.makeCertificate(ctx, nil); err != nil {
		return err
	}
	g.client = nil
	return g.Restart(ctx)
}

func (g *Gitea) keyFile() string { return filepath.Join(g.Dir, "key.pem") }

// settings are what Gitea needs to run here, alone and without questions.
func (g *Gitea) settings(static string, plainHTTP bool) (map[string]string, error) {
	self, err := user.Current()
	if err != nil {
		return nil, fmt.Errorf("look up the user to run gitea as: %w", err)
	}
	_, port, _ := strings.Cut(g.Host, ":")
	settings := map[string]string{
		".RUN_USER":  self.Username,
		".RUN_MODE":  "prod",
		".WORK_PATH": g.Dir,
		// Gitea refuses to run as root, which is who tests in a container run as.
		".I_AM_BEING_UNSAFE_RUNNING_AS_ROOT": "true",
		"server.HTTP_ADDR":                   "127.0.0.1",
		"server.HTTP_PORT":                   port,
		"server.ROOT_URL":                    g.URL + "/",
		"server.STATIC_ROOT_PATH":            static,
		"server.DISABLE_SSH":                 "true",
		"server.OFFLINE_MODE":                "true",
		"security.INSTALL_LOCK":              "true",
		"security.SECRET_KEY":                rand.Text(),
		"security.INTERNAL_TOKEN":            rand.Text(),
		"oauth2.JWT_SECRET":                  jwtSecret(),
		// As Gitea has it; the default of Forgejo takes six times as long.
		"security.PASSWORD_HASH_ALGO": "pbkdf2",
		// Saves half of the start, which would go into making an RSA key.
		"oauth2.JWT_SIGNING_ALGORITHM": "HS256",
		"log.MODE":                     "console",
		"cron.ENABLED":                 "false",
		"cron.update_checker.ENABLED":  "false",
	}
	if !plainHTTP {
		settings["server.PROTOCOL"] = "https"
		settings["server.CERT_FILE"] = g.CAFile
		settings["server.KEY_FILE"] = g.keyFile()
	}
	return settings, nil
}

// jwtSecret returns what Gitea expects of such a secret: 32 bytes in base64.
func jwtSecret() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	return base64.RawURLEncoding.EncodeToString(secret)
}

// appINI renders settings with the keys that stand in no section first.
func appINI(settings map[string]string) []byte {
	sections := map[string][]string{}
	for key, value := range settings {
		dot := strings.LastIndexByte(key, '.')
		section := key[:max(dot, 0)]
		sections[section] = append(sections[section], key[dot+1:]+" = "+value+"\n")
	}
	var ini bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if name != "" {
			fmt.Fprintf(&ini, "\n[%s]\n", name)
		}
		slices.Sort(sections[name])
		for _, line := range sections[name] {
			ini.WriteString(line)
		}
	}
	return ini.Bytes()
}

// Command runs a gitea command such as "admin user list" against this
// server's data, whether the server runs or not, and returns what it prints.
func (g *Gitea) Command(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, g.command.path, append(args, "--config", g.config())...)
	if args[0] == "cert" { // the one command without a configuration
		cmd.Args = cmd.Args[:len(cmd.Args)-2]
	}
	cmd.Dir, cmd.Env = g.Dir, g.command.env
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("gitea %s: %w\n%s%s", strings.Join(args[:min(3, len(args))], " "), err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out)), nil
}

// SQL runs a statement on the database, for what neither the API nor a command
// tells or does, and returns what it prints.
func (g *Gitea) SQL(ctx context.Context, statement string) (string, error) {
	return g.database.sql(ctx, statement)
}

// CreateUser makes a user who can log in with the password.
func (g *Gitea) CreateUser(ctx context.Context, name, password string) error {
	return g.API(ctx, http.MethodPost, "/admin/users", map[string]any{
		"username": name, "password": password, "email": name + "@example.com",
		"must_change_password": false,
	}, nil)
}

var accessToken = regexp.MustCompile(`(?m)^[0-9a-f]{40}$`)

// CreateToken makes a personal access token of the user,
// with scopes such as "write:package".
func (g *Gitea) CreateToken(ctx context.Context, name string, scopes ...string) (string, error) {
	out, err := g.Command(ctx, "admin", "user", "generate-access-token", "--raw",
		"--username", name, "--token-name", rand.Text(), "--scopes", strings.Join(scopes, ","))
	if err != nil {
		return "", err
	}
	// Around the token stand warnings: that Gitea runs as root, that a query was slow.
	token := accessToken.FindString(out)
	if token == "" {
		return "", fmt.Errorf("make access token: gitea prints %q", out)
	}
	return token, nil
}

// CreateOrg makes a public organization that belongs to AdminUser.
func (g *Gitea) CreateOrg(ctx context.Context, name string) error {
	return g.API(ctx, http.MethodPost, "/orgs", map[string]any{"username": name}, nil)
}

// API calls Gitea's own API as AdminUser. The path follows /api/v1; with
// "?sudo=NAME" it acts as another user. What in holds is sent as JSON, and
// the answer is decoded into out unless that is nil.
func (g *Gitea) API(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", method, path, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, g.URL+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("call gitea: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "token "+g.adminToken)
	resp, err := g.client.Do(req)
	if err != nil {
		return fmt.Errorf("call gitea: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read answer to %s %s: %w", method, path, err)
	}
	if resp.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, bytes.TrimSpace(answer))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("decode answer to %s %s: %w", method, path, err)
	}
	return nil
}
