package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Push is the report of one push to one repository.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Destination",type=string,JSONPath=`.spec.destination`
// +kubebuilder:printcolumn:name="Digest",type=string,JSONPath=`.status.digest`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type Push struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitzero"`

	Spec   PushSpec   `json:"spec"`
	Status PushStatus `json:"status,omitzero"`
}

// PushList is several pushes.
//
// +kubebuilder:object:root=true
type PushList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Push `json:"items"`
}

// PushSpec is what was asked for.
type PushSpec struct {
	// Source is the image: a name or ID of the docker daemon, a path, or "-"
	// for standard input.
	Source string `json:"source"`
	// Destination is HOST/OWNER/NAME.
	Destination string `json:"destination"`
	// Tags are those to set.
	Tags []string `json:"tags,omitempty"`

	// Platform is the only one to push of an index. Absent: all.
	Platform string `json:"platform,omitempty"`
	// Compression is what layers that are not compressed yet are sent as.
	Compression Compression `json:"compression,omitzero"`
	// ForceCompression sends the other layers so, too.
	ForceCompression bool `json:"forceCompression,omitempty"`
	// NoAttestations leaves out what BuildKit puts beside an image.
	NoAttestations bool `json:"noAttestations,omitempty"`
	// IncludeForeign sends the layers that a manifest names by a URL, too.
	IncludeForeign bool `json:"includeForeign,omitempty"`
	// Jobs is the number of layers to send side by side.
	Jobs int `json:"jobs,omitempty"`
	// Retries is how often to try a failed step again.
	Retries int `json:"retries"`
	// ChunkSize is the largest request body, in bytes. Absent: no limit.
	ChunkSize int64 `json:"chunkSize,omitempty"`
	// LimitRate is how many bytes a second to send at most. Absent: no limit.
	LimitRate int64 `json:"limitRate,omitempty"`
	// Timeout bounds the whole push. Absent: no bound.
	Timeout metav1.Duration `json:"timeout,omitzero"`
	// Insecure accepts any TLS certificate.
	Insecure bool `json:"insecure,omitempty"`
	// Link is the repository to link the image to, as OWNER/REPOSITORY, or
	// "auto". Absent: none.
	Link string `json:"link,omitempty"`
	// DryRun sends nothing.
	DryRun bool `json:"dryRun,omitempty"`
	// Verify looks at everything that the tags lead to.
	Verify bool `json:"verify,omitempty"`
	// NoClobber moves no tag.
	NoClobber bool `json:"noClobber,omitempty"`
}

// PushStatus is what was done; after a failure, as far as it came.
type PushStatus struct {
	// Conditions are Reachable, Authenticated, Pushed, Linked and Ready. The
	// message of one that is False says what happened, why, and what to do. Ready
	// does not depend on Linked.
	//
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// References are the pushed tags, as HOST/OWNER/NAME:TAG@DIGEST.
	References []string `json:"references,omitempty"`
	// MediaType, Digest and Size (in bytes) describe the manifest or index.
	MediaType string `json:"mediaType,omitempty"`
	Digest    string `json:"digest,omitempty"`
	Size      int64  `json:"size,omitempty"`
	// Unverified says that every tag was found at Digest already, nothing was
	// sent, and nobody looked whether the registry still has what the tags lead
	// to. The blobs that exist are then believed to.
	Unverified bool `json:"unverified,omitempty"`
	// Blobs are what became of the image's blobs, in no particular order.
	Blobs []BlobStatus `json:"blobs,omitempty"`

	// LinkedRepository is what the image is linked to now, as OWNER/REPOSITORY.
	LinkedRepository string `json:"linkedRepository,omitempty"`

	// BytesSent counts the bytes of blobs that went over the wire, those sent
	// twice included.
	BytesSent int64 `json:"bytesSent"`
	// BytesReused is the size of the blobs that the registry had already, here or
	// in another package.
	BytesReused int64 `json:"bytesReused"`
	// BytesMounted is the size of those that it took from another package when
	// it was asked to.
	BytesMounted int64 `json:"bytesMounted"`
	// Requests counts the HTTP requests.
	Requests int `json:"requests"`
	// Retries counts the steps that were tried again.
	Retries int `json:"retries"`

	// StartTime and CompletionTime are when the push began and ended, Duration
	// is the time between them, exactly.
	StartTime      metav1.Time     `json:"startTime,omitzero"`
	CompletionTime metav1.Time     `json:"completionTime,omitzero"`
	Duration       metav1.Duration `json:"duration,omitzero"`
}

// BlobStatus is what became of one blob.
type BlobStatus struct {
	Digest string `json:"digest"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// Status is how the blob came into the repository.
	//
	// +kubebuilder:validation:Enum=Pushed;Exists;Mounted;WouldPush
	Status string `json:"status"`
	// From is the repository, as OWNER/NAME, that the registry took a Mounted
	// blob from.
	From string `json:"from,omitempty"`
}
