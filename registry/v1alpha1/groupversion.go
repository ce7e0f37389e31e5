// Package v1alpha1 has the project's configuration and reports in the form of Kubernetes
// objects. It holds data only: package plugin fills it in and reads it.
//
// # Where to begin
//
// [RegistryList] is the configuration file: one [Registry] for each host. [Push] is the
// report that `docker gitea push --format json` prints; its conditions, such as
// [ConditionReady], say how the push ended.
//
// A Kubernetes program embeds the types as they are, registers them with [AddToScheme],
// or installs the definitions in crd. An editor or a validator uses the JSON Schemas in
// schema. docs/examples/controller is a whole controller.
//
// # Errors and concurrency
//
// AddToScheme alone can fail. The types are plain values: give each goroutine its own
// with DeepCopy.
//
// # How the files fit together
//
//   - registry.go: configuration; push.go: reports
//   - zz_generated.deepcopy.go and crd are written by controller-gen, and
//     schema, JSON Schemas for editors and validators, is made from crd:
//     `make generate`
//
// +kubebuilder:object:generate=true
// +groupName=docker-gitea.github.io
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the apiVersion of the objects.
var GroupVersion = schema.GroupVersion{Group: "docker-gitea.github.io", Version: "v1alpha1"}

// The kinds.
const (
	KindRegistry     = "Registry"
	KindRegistryList = "RegistryList"
	KindPush         = "Push"
	KindPushList     = "PushList"
)

// AddToScheme registers the types, for clients and decoders of Kubernetes.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Registry{}, &RegistryList{}, &Push{}, &PushList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// The types of conditions. A condition that is absent was not looked at.
const (
	// ConditionReachable: the registry answers, as a registry does.
	ConditionReachable = "Reachable"
	// ConditionAuthenticated: the registry accepts the credential.
	ConditionAuthenticated = "Authenticated"
	// ConditionPushed: the image is in the registry, and the tags point at it.
	ConditionPushed = "Pushed"
	// ConditionLinked: the image is linked to the repository that was asked for.
	// It is absent where none was.
	ConditionLinked = "Linked"
	// ConditionReady sums the others up.
	ConditionReady = "Ready"
)
