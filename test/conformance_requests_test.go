//go:build e2e

package test

import "strings"

const (
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	app         = "/v2/alice/app"
	uploads     = app + "/blobs/uploads/"
)

var octets = map[string]string{"Content-Type": "application/octet-stream"}

func typed(mediaType string) map[string]string { return map[string]string{"Content-Type": mediaType} }

func ranged(contentRange string) map[string]string {
	return map[string]string{"Content-Type": "application/octet-stream", "Content-Range": contentRange}
}

// conversation is what both registries are asked, in this order.
func conversation() []step {
	var all []step
	for _, part := range [][]step{authSteps, routeSteps, uploadSteps, mountSteps, manifestSteps(), listSteps} {
		all = append(all, part...)
	}
	return all
}

var authSteps = []step{
	{name: "version, nobody", method: "GET", path: "/v2/"},
	{name: "version, password", method: "GET", path: "/v2/", as: "alice"},
	{name: "version, token", method: "GET", path: "/v2/", as: "writer"},
	{name: "version, token as user name", method: "GET", path: "/v2/", as: "writer as user name"},
	{name: "version, wrong password", method: "GET", path: "/v2/", as: "impostor"},
	{name: "version, unknown user", method: "GET", path: "/v2/", as: "stranger"},
	{name: "version, token without package scope", method: "GET", path: "/v2/", as: "outsider"},
	{name: "version, bad bearer", method: "GET", path: "/v2/", header: map[string]string{"Authorization": "Bearer nonsense"}},
	{name: "version, malformed credential", method: "GET", path: "/v2/", header: map[string]string{"Authorization": "nonsense"}},
	{name: "version, HEAD", method: "HEAD", path: "/v2/", as: "alice"},
	{name: "version, POST", method: "POST", path: "/v2/", as: "alice"},
	{name: "version, forwarded", method: "GET", path: "/v2/", header: map[string]string{"X-Forwarded-Proto": "http"}},
	{name: "token, nobody", method: "GET", path: "/v2/token?scope=x&service=y", save: "ghost"},
	{name: "token, password", method: "GET", path: "/v2/token", as: "alice", save: "token"},
	{name: "token, write scope", method: "GET", path: "/v2/token", as: "writer", save: "writetoken"},
	{name: "token, read scope", method: "GET", path: "/v2/token", as: "reader", save: "readtoken"},
	{name: "token, all scopes", method: "GET", path: "/v2/token", as: "all"},
	{name: "token, other scope", method: "GET", path: "/v2/token", as: "outsider"},
	{name: "token, public only", method: "GET", path: "/v2/token", as: "public-only"},
	{name: "token, wrong password", method: "GET", path: "/v2/token", as: "impostor"},
	{name: "token, POST", method: "POST", path: "/v2/token", as: "alice", body: "grant_type=password", header: typed("application/x-www-form-urlencoded")},
	{name: "token, bearer", method: "GET", path: "/v2/token", header: map[string]string{"Authorization": "Bearer {token}"}},
	{name: "version, ghost", method: "GET", path: "/v2/", header: map[string]string{"Authorization": "Bearer {ghost}"}},
	{name: "version, bearer", method: "GET", path: "/v2/", header: map[string]string{"Authorization": "Bearer {token}"}},
	{name: "upload, nobody", method: "POST", path: uploads},
	{name: "upload, ghost", method: "POST", path: uploads, header: map[string]string{"Authorization": "Bearer {ghost}"}},
	{name: "upload, read token", method: "POST", path: uploads, header: map[string]string{"Authorization": "Bearer {readtoken}"}},
	{name: "upload, read scope", method: "POST", path: uploads, as: "reader"},
	{name: "upload, other scope", method: "POST", path: uploads, as: "outsider"},
	{name: "upload, other user", method: "POST", path: uploads, as: "bob"},
	{name: "upload, public only", method: "POST", path: "/v2/hidden/app/blobs/uploads/", as: "public-only"},
	{name: "upload, hidden owner", method: "POST", path: "/v2/hidden/app/blobs/uploads/", as: "alice"},
	{name: "upload, organisation's writer", method: "POST", path: "/v2/guild/app/blobs/uploads/", as: "alice"},
	{name: "upload, organisation's reader", method: "POST", path: "/v2/guild/app/blobs/uploads/", as: "bob"},
	{name: "upload, organisation's stranger", method: "POST", path: "/v2/guild/app/blobs/uploads/", as: "hidden"},
	{name: "upload, site admin", method: "POST", path: uploads, as: "admin"},
	{name: "upload, write token", method: "POST", path: uploads, header: map[string]string{"Authorization": "Bearer {writetoken}"}},
}

var routeSteps = []step{
	{name: "unknown owner", method: "POST", path: "/v2/missing/app/blobs/uploads/", as: "alice"},
	{name: "unknown owner, read", method: "GET", path: "/v2/missing/app/tags/list", as: "alice"},
	{name: "owner in capitals", method: "POST", path: "/v2/ALICE/app/blobs/uploads/", as: "alice"},
	{name: "no image", method: "POST", path: "/v2/alice/blobs/uploads/", as: "alice"},
	{name: "image in capitals", method: "POST", path: "/v2/alice/App/blobs/uploads/", as: "alice"},
	{name: "double underscore", method: "POST", path: "/v2/alice/a__b/blobs/uploads/", as: "alice"},
	{name: "double dash", method: "GET", path: "/v2/alice/a--b/tags/list", as: "alice"},
	{name: "bad image, no right", method: "POST", path: "/v2/alice/App/blobs/uploads/", as: "bob"},
	{name: "bad image, no right, manifest", method: "PUT", path: "/v2/alice/App/manifests/1", as: "bob"},
	{name: "nested image", method: "POST", path: "/v2/alice/a/b.c/d-e/blobs/uploads/", as: "alice"},
	{name: "no such route", method: "GET", path: "/v2/alice/app/referrers/{absent}", as: "alice"},
	{name: "no such route, nobody", method: "GET", path: "/v2/alice/app/referrers/{absent}"},
	{name: "owner alone", method: "GET", path: "/v2/alice", as: "alice"},
	{name: "owner alone, nobody", method: "GET", path: "/v2/alice"},
	{name: "owner alone, unknown", method: "GET", path: "/v2/missing", as: "alice"},
	{name: "token, deeper", method: "GET", path: "/v2/token/deeper", as: "alice"},
	{name: "token, wrong method", method: "PUT", path: "/v2/token", as: "alice"},
	{name: "no such route, unknown owner", method: "GET", path: "/v2/missing/app", as: "alice"},
	{name: "no slash", method: "POST", path: "/v2/alice/app/blobs/uploads", as: "alice"},
	{name: "many slashes", method: "POST", path: "/v2//alice//app/blobs/uploads//", as: "alice"},
	{name: "wrong method", method: "PUT", path: app + "/tags/list", as: "alice"},
	{name: "escaped digest", method: "HEAD", path: app + "/blobs/sha256%3A0", as: "alice"},
}

var uploadSteps = []step{
	{name: "single request", method: "POST", path: uploads + "?mount={config}&digest={config}", body: contents["config"], header: octets, as: "alice"},
	{name: "single request again, mounted", method: "POST", path: uploads + "?mount={config}&digest={config}", body: contents["config"], header: octets, as: "alice"},
	{name: "single request, wrong digest", method: "POST", path: uploads + "?digest={absent}", body: "x", header: octets, as: "alice"},
	{name: "single request as a form", method: "POST", path: uploads + "?digest={layer}", body: contents["layer"], header: typed("application/x-www-form-urlencoded"), as: "alice"},
	{name: "single request, empty blob", method: "POST", path: uploads + "?digest={nothing}", header: octets, as: "alice"},
	{name: "begin", method: "POST", path: uploads, as: "alice", save: "upload"},
	{name: "status, empty", method: "GET", path: "{upload}", as: "alice"},
	{name: "stream", method: "PATCH", path: "{upload}", body: contents["layer"], header: octets, as: "alice"},
	{name: "status", method: "GET", path: "{upload}", as: "alice"},
	{name: "stream again", method: "PATCH", path: "{upload}", body: "x", header: octets, as: "alice"},
	{name: "status, other user", method: "GET", path: "{upload}", as: "bob"},
	{name: "finish, no digest", method: "PUT", path: "{upload}", as: "alice"},
	{name: "finish, wrong digest", method: "PUT", path: "{upload}?digest={absent}", as: "alice"},
	{name: "finish", method: "PUT", path: "{upload}?digest={layer}", as: "alice"},
	{name: "finish again", method: "PUT", path: "{upload}?digest={layer}", as: "alice"},
	{name: "status, gone", method: "GET", path: "{upload}", as: "alice"},
	{name: "begin for chunks", method: "POST", path: uploads, as: "alice", save: "upload"},
	{name: "chunk", method: "PATCH", path: "{upload}", body: "first half, ", header: ranged("0-11"), as: "alice"},
	{name: "chunk, with unit", method: "PATCH", path: "{upload}", body: "second half", header: ranged("bytes 12-22/23"), as: "alice"},
	{name: "chunk, gap", method: "PATCH", path: "{upload}", body: "second half", header: ranged("13-23"), as: "alice"},
	{name: "chunk, no range", method: "PATCH", path: "{upload}", body: "second half", header: octets, as: "alice"},
	{name: "chunk, wrong end", method: "PATCH", path: "{upload}", body: "second", header: ranged("12-99"), as: "alice"},
	{name: "last chunk with finish", method: "PUT", path: "{upload}?digest={halves}", body: " half", header: octets, as: "alice"},
	{name: "begin for one body", method: "POST", path: uploads, as: "alice", save: "upload"},
	{name: "finish with body", method: "PUT", path: "{upload}?digest={other}", body: contents["other"], header: octets, as: "alice"},
	{name: "begin for a cut", method: "POST", path: uploads, as: "alice", save: "upload"},
	{name: "chunk before cut", method: "PATCH", path: "{upload}", body: "0123456789", header: ranged("0-9"), as: "alice"},
	{name: "cut chunk", method: "PATCH", path: "{upload}", body: strings.Repeat("x", 1<<18), header: ranged("10-262154"), as: "alice", cut: true},
	{name: "status after cut", method: "GET", path: "{upload}", as: "alice"},
	{name: "chunk after cut", method: "PATCH", path: "{upload}", body: "x", header: ranged("10-10"), as: "alice"},
	{name: "finish after cut", method: "PUT", path: "{upload}?digest={absent}", as: "alice"},
	{name: "give up", method: "DELETE", path: "{upload}", as: "alice"},
	{name: "give up again", method: "DELETE", path: "{upload}", as: "alice"},
	{name: "chunk, gone", method: "PATCH", path: "{upload}", body: "x", header: octets, as: "alice"},
	{name: "begin, to finish elsewhere", method: "POST", path: uploads, as: "alice", save: "upload"},
	{name: "blob", method: "HEAD", path: app + "/blobs/{layer}", as: "alice"},
	{name: "blob, read", method: "GET", path: app + "/blobs/{layer}", as: "bob"},
	{name: "blob, part of", method: "GET", path: app + "/blobs/{layer}", as: "alice", header: map[string]string{"Range": "bytes=0-1"}},
	{name: "blob, empty", method: "HEAD", path: app + "/blobs/{nothing}", as: "alice"},
	{name: "blob, empty, read", method: "GET", path: app + "/blobs/{nothing}", as: "alice"},
	{name: "blob, absent", method: "HEAD", path: app + "/blobs/{absent}", as: "alice"},
	{name: "blob, absent, read", method: "GET", path: app + "/blobs/{absent}", as: "alice"},
	{name: "blob, no digest", method: "GET", path: app + "/blobs/nonsense", as: "alice"},
	{name: "blob, elsewhere", method: "HEAD", path: "/v2/alice/other/blobs/{layer}", as: "alice"},
}

var mountSteps = []step{
	{name: "mount", method: "POST", path: "/v2/bob/app/blobs/uploads/?mount={layer}", as: "bob"},
	{name: "mounted", method: "HEAD", path: "/v2/bob/app/blobs/{layer}", as: "bob"},
	{name: "mount from", method: "POST", path: "/v2/bob/from/blobs/uploads/?mount={layer}&from=alice/app", as: "bob"},
	{name: "mount from the wrong place", method: "POST", path: "/v2/bob/from/blobs/uploads/?mount={other}&from=alice/nowhere", as: "bob"},
	{name: "mount what is absent", method: "POST", path: "/v2/bob/app/blobs/uploads/?mount={absent}", as: "bob"},
	{name: "hidden blob", method: "POST", path: "/v2/hidden/app/blobs/uploads/?digest={hello}", body: contents["hello"], header: octets, as: "hidden"},
	{name: "mount a hidden blob", method: "POST", path: "/v2/bob/app/blobs/uploads/?mount={hello}", as: "bob"},
	{name: "mount own hidden blob", method: "POST", path: "/v2/hidden/again/blobs/uploads/?mount={hello}", as: "hidden"},
}

func manifestSteps() []step {
	index := indexNaming(ociManifest, imageManifest)
	missing := manifestOf("config", "absent")
	return []step{
		{name: "manifest", method: "PUT", path: app + "/manifests/V1", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, again", method: "PUT", path: app + "/manifests/v1", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, no right", method: "PUT", path: app + "/manifests/v1", body: imageManifest, header: typed(ociManifest), as: "bob"},
		{name: "manifest, type from body", method: "PUT", path: app + "/manifests/v2", body: imageManifest, as: "alice"},
		{name: "manifest, by digest", method: "PUT", path: app + "/manifests/{image}", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, by a wrong digest", method: "PUT", path: app + "/manifests/{absent}", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, no JSON", method: "PUT", path: app + "/manifests/v3", body: "{", header: typed(ociManifest), as: "alice"},
		{name: "manifest, empty", method: "PUT", path: app + "/manifests/v3", header: typed(ociManifest), as: "alice"},
		{name: "manifest, wrong types", method: "PUT", path: app + "/manifests/v3", body: `{"schemaVersion":"2"}`, header: typed(ociManifest), as: "alice"},
		{name: "manifest, schema 1", method: "PUT", path: app + "/manifests/v3", body: `{"schemaVersion":1}`, header: typed(ociManifest), as: "alice"},
		{name: "manifest, no type", method: "PUT", path: app + "/manifests/v3", body: `{"schemaVersion":2}`, as: "alice"},
		{name: "manifest, unknown type", method: "PUT", path: app + "/manifests/v3", body: imageManifest, header: typed("application/vnd.oci.artifact.manifest.v1+json"), as: "alice"},
		{name: "manifest, no config", method: "PUT", path: app + "/manifests/v3", body: `{"schemaVersion":2}`, header: typed(ociManifest), as: "alice"},
		{name: "manifest, missing layer", method: "PUT", path: app + "/manifests/v3", body: missing, header: typed(ociManifest), as: "alice"},
		{name: "manifest, missing config", method: "PUT", path: "/v2/alice/new/manifests/v3", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, wrong size", method: "PUT", path: app + "/manifests/v3", body: strings.Replace(imageManifest, `"size":7`, `"size":8`, 1), header: typed(ociManifest), as: "alice"},
		{name: "manifest, bad tag", method: "PUT", path: app + "/manifests/-v3", body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, long tag", method: "PUT", path: app + "/manifests/" + strings.Repeat("a", 129), body: imageManifest, header: typed(ociManifest), as: "alice"},
		{name: "manifest, too large", method: "PUT", path: app + "/manifests/v3", body: strings.Repeat(" ", 10<<20+1), header: typed(ociManifest), as: "alice"},
		{name: "index", method: "PUT", path: app + "/manifests/multi", body: index, header: typed(ociIndex), as: "alice"},
		{name: "index, missing child", method: "PUT", path: app + "/manifests/multi2", body: indexNaming(ociManifest, missing), header: typed(ociIndex), as: "alice"},
		{name: "index, nested", method: "PUT", path: app + "/manifests/multi2", body: indexNaming(ociIndex, index), header: typed(ociIndex), as: "alice"},
		{name: "read by tag", method: "GET", path: app + "/manifests/v1", as: "bob"},
		{name: "read by tag in capitals", method: "HEAD", path: app + "/manifests/V1", as: "bob"},
		{name: "read by digest", method: "GET", path: app + "/manifests/{image}", as: "bob"},
		{name: "read as ghost", method: "GET", path: app + "/manifests/v1", header: map[string]string{"Authorization": "Bearer {ghost}"}},
		{name: "read as nobody", method: "GET", path: app + "/manifests/v1"},
		{name: "read manifest as blob", method: "GET", path: app + "/blobs/{image}", as: "alice"},
		{name: "read layer of a manifest", method: "GET", path: app + "/blobs/{layer}", as: "alice"},
		{name: "read, absent", method: "GET", path: app + "/manifests/none", as: "alice"},
		{name: "read, bad tag", method: "GET", path: app + "/manifests/-", as: "alice"},
		{name: "head, absent", method: "HEAD", path: app + "/manifests/none", as: "alice"},
		{name: "overwrite with fewer layers", method: "PUT", path: app + "/manifests/v2", body: manifestOf("config"), header: typed(ociManifest), as: "alice"},
	}
}

var listSteps = []step{
	{name: "tags", method: "GET", path: app + "/tags/list", as: "alice"},
	{name: "tags, two", method: "GET", path: app + "/tags/list?n=2", as: "alice"},
	{name: "tags, after", method: "GET", path: app + "/tags/list?n=2&last=V1", as: "alice"},
	{name: "tags, none", method: "GET", path: app + "/tags/list?n=0", as: "alice"},
	{name: "tags, past the end", method: "GET", path: app + "/tags/list?last=zzz", as: "alice"},
	{name: "tags, no manifest", method: "GET", path: "/v2/bob/app/tags/list", as: "alice"},
	{name: "tags, no package", method: "GET", path: "/v2/alice/nothing/tags/list", as: "alice"},
	{name: "catalog", method: "GET", path: "/v2/_catalog", as: "alice"},
	{name: "catalog, one", method: "GET", path: "/v2/_catalog?n=1", as: "alice"},
	{name: "catalog, nobody", method: "GET", path: "/v2/_catalog"},
	{name: "catalog, POST", method: "POST", path: "/v2/_catalog", as: "alice"},
	{name: "delete tag", method: "DELETE", path: app + "/manifests/V1", as: "alice"},
	{name: "delete tag again", method: "DELETE", path: app + "/manifests/v1", as: "alice"},
	{name: "delete tag, no right", method: "DELETE", path: app + "/manifests/v2", as: "bob"},
	{name: "delete by digest", method: "DELETE", path: app + "/manifests/{image}", as: "alice"},
	{name: "tags, after deletion", method: "GET", path: app + "/tags/list", as: "alice"},
	{name: "blob after deletion", method: "HEAD", path: app + "/blobs/{layer}", as: "alice"},
	{name: "delete blob", method: "DELETE", path: app + "/blobs/{config}", as: "alice"},
	{name: "delete blob, absent", method: "DELETE", path: app + "/blobs/{absent}", as: "alice"},
	{name: "delete blob, no digest", method: "DELETE", path: app + "/blobs/nonsense", as: "alice"},
	{name: "blob, deleted", method: "HEAD", path: app + "/blobs/{config}", as: "alice"},
}
