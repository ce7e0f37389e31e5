package registrytest

import (
	"encoding/json"
	"net/http"
)

// wireError is an error of the specification, as errors.go of Gitea has them.
type wireError struct {
	status        int
	code, message string
}

var (
	errBlobUnknown         = wireError{http.StatusNotFound, "BLOB_UNKNOWN", ""}
	errBlobUploadInvalid   = wireError{http.StatusBadRequest, "BLOB_UPLOAD_INVALID", ""}
	errBlobUploadUnknown   = wireError{http.StatusNotFound, "BLOB_UPLOAD_UNKNOWN", ""}
	errDigestInvalid       = wireError{http.StatusBadRequest, "DIGEST_INVALID", ""}
	errManifestBlobUnknown = wireError{http.StatusNotFound, "MANIFEST_BLOB_UNKNOWN", ""}
	errManifestInvalid     = wireError{http.StatusBadRequest, "MANIFEST_INVALID", ""}
	errManifestUnknown     = wireError{http.StatusNotFound, "MANIFEST_UNKNOWN", ""}
	errNameInvalid         = wireError{http.StatusBadRequest, "NAME_INVALID", ""}
	errNameUnknown         = wireError{http.StatusNotFound, "NAME_UNKNOWN", ""}
	errSizeInvalid         = wireError{http.StatusBadRequest, "SIZE_INVALID", ""}
	errUnauthorized        = wireError{http.StatusUnauthorized, "UNAUTHORIZED", ""}
	errUnsupported         = wireError{http.StatusNotImplemented, "UNSUPPORTED", ""}

	// errServer and errForbidden are answered without a body: container.go,
	// apiError.
	errServer    = wireError{status: http.StatusInternalServerError}
	errForbidden = wireError{status: http.StatusForbidden}
)

func (e wireError) with(status int, message string) *wireError {
	e.status, e.message = status, message
	return &e
}

// versionHeader marks what comes from the registry itself; answers of
// middleware and of proxies lack it.
const versionHeader = "Docker-Distribution-Api-Version"

// headers are those of container.go, setResponseHeaders. Empty ones are left
// out.
type headers struct {
	location, uploadID, rangeReceived, contentType, digest string
	length                                                 *int64
}

// begin writes the status line and headers of an answer of the registry.
func (c *call) begin(status int, h headers) {
	header := c.w.Header()
	set := func(name, value string) {
		if value != "" {
			header.Set(name, value)
		}
	}
	set("Location", h.location)
	set("Range", h.rangeReceived)
	set("Content-Type", h.contentType)
	set("Docker-Upload-Uuid", h.uploadID)
	if h.digest != "" {
		set("Docker-Content-Digest", h.digest)
		set("ETag", `"`+h.digest+`"`)
	}
	if h.length != nil {
		header.Set("Content-Length", itoa(*h.length))
	}
	header.Set(versionHeader, "registry/2.0")
	c.w.WriteHeader(status)
}

// fail answers with an error.
func (c *call) fail(e wireError) {
	if e.code == "" {
		c.begin(e.status, headers{})
		return
	}
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set(versionHeader, "registry/2.0")
	writeJSON(c.w, e.status, errorBody(e.code, e.message))
}

// errorBody is the body of the specification, "Error codes".
func errorBody(code, message string) any {
	type item struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	}
	return map[string][]item{"errors": {{code, message}}}
}

// ok answers with a JSON document.
func (c *call) ok(body any) {
	c.w.Header().Set("Content-Type", "application/json")
	c.w.Header().Set(versionHeader, "registry/2.0")
	writeJSON(c.w, http.StatusOK, body)
}

// writeJSON writes the rest of an answer. A client that has gone away gets
// nothing, which is nobody's error.
func writeJSON(w http.ResponseWriter, status int, body any) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
