package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RegistryList is a configuration file: what holds for each registry, and for
// all.
//
// +kubebuilder:object:root=true
type RegistryList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Registry `json:"items"`
}

// Registry is one registry and how to talk to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.url`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type Registry struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   RegistrySpec   `json:"spec,omitzero"`
	Status RegistryStatus `json:"status,omitzero"`
}

// RegistrySpec is the wanted configuration. What is absent has its default, or
// is taken from the entry without a URL.
type RegistrySpec struct {
	// URL is the registry's address: "https://git.example.com:3000", or
	// "git.example.com:3000"; "http://…" asks for plain HTTP. The entry without
	// a URL holds for every registry, as far as the registry's own says nothing.
	URL string `json:"url,omitempty"`

	// CAFiles are PEM files of certificate authorities trusted for this
	// registry beside the system's. Relative paths start at the configuration
	// file.
	CAFiles []string `json:"caFiles,omitempty"`
	// CAData is such a PEM file's content.
	CAData string `json:"caData,omitempty"`
	// CertFile and KeyFile are the PEM files of a client certificate.
	CertFile string `json:"certFile,omitempty"`
	KeyFile  string `json:"keyFile,omitempty"`
	// Insecure accepts any TLS certificate.
	Insecure *bool `json:"insecure,omitempty"`

	// Credential says where the credential is kept. Absent, it is looked for
	// where docker keeps its own.
	Credential *CredentialSource `json:"credential,omitempty"`

	// Timeout bounds a whole push, such as "30m". Zero is no bound.
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// ConnectTimeout bounds name resolution, connecting and the TLS handshake
	// together.
	ConnectTimeout *metav1.Duration `json:"connectTimeout,omitempty"`
	// StallTimeout is how long a connection may be silent in both directions.
	StallTimeout *metav1.Duration `json:"stallTimeout,omitempty"`
	// Jobs is the number of layers to send side by side.
	//
	// +kubebuilder:validation:Minimum=1
	Jobs *int `json:"jobs,omitempty"`
	// Retries is how often to try a failed step again.
	//
	// +kubebuilder:validation:Minimum=0
	Retries *int `json:"retries,omitempty"`
	// ChunkSize is the largest request body, such as "90MB" or "64MiB". "0" is
	// no limit.
	ChunkSize string `json:"chunkSize,omitempty"`
	// LimitRate is how fast blobs are sent at most, such as "5MB/s". "0" is no
	// limit.
	LimitRate string `json:"limitRate,omitempty"`

	// Platform is the only one to push of an index, as "os/arch[/variant]".
	Platform string `json:"platform,omitempty"`
	// Compression is what layers that are not compressed yet are sent as.
	Compression *Compression `json:"compression,omitempty"`
	// Progress is how progress is shown.
	//
	// +kubebuilder:validation:Enum=auto;tty;plain;json;quiet
	Progress string `json:"progress,omitempty"`
}

// CredentialSource says where a credential is kept: in exactly one of Helper,
// Env, File and DockerConfig. It never holds the secret itself.
//
// +kubebuilder:validation:ExactlyOneOf=helper;env;file;dockerConfig
type CredentialSource struct {
	// Username goes with the secret of Env or File. Absent, the secret is a
	// token.
	Username string `json:"username,omitempty"`
	// Helper is a credential helper of docker: "gitea" is the program
	// docker-credential-gitea.
	Helper string `json:"helper,omitempty"`
	// Env is the name of the variable that holds the password or token.
	Env string `json:"env,omitempty"`
	// File is a file that holds the password or token, and nothing else.
	// Relative paths start at the configuration file.
	File string `json:"file,omitempty"`
	// DockerConfig is a directory with a config.json of docker.
	DockerConfig string `json:"dockerConfig,omitempty"`
}

// Compression is how raw layers are compressed.
type Compression struct {
	// Algorithm is "gzip", "zstd" or "none".
	//
	// +kubebuilder:validation:Enum=gzip;zstd;none
	Algorithm string `json:"algorithm,omitempty"`
	// Level is the algorithm's own. Zero is its default.
	Level int `json:"level,omitempty"`
}

// RegistryStatus is what was found.
type RegistryStatus struct {
	// Conditions are Reachable, Authenticated and Ready.
	//
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
