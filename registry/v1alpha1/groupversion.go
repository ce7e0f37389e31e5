// Package v1alpha1 is the API of the project's files and reports in the form
// of Kubernetes objects: a [RegistryList] configures registries, a [Push]
// reports what a push did. Kubernetes programs can embed the types as they
// are, register them with [AddToScheme], or install the definitions in crd.
// It holds data only; package plugin fills it in and reads it.
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
