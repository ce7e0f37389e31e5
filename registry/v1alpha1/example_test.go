package v1alpha1_test

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// A report of `docker gitea push --format json` is read as Kubernetes reads
// its objects, and its conditions with Kubernetes' own functions.
func ExamplePush() {
	const report = `{
		"apiVersion": "docker-gitea.github.io/v1alpha1", "kind": "Push",
		"spec": {"source": "app:dev", "destination": "git.example.com/me/app", "tags": ["1"], "retries": 5},
		"status": {
			"conditions": [{"type": "Ready", "status": "False", "reason": "Denied", "message": "denied", "lastTransitionTime": null}],
			"bytesSent": 0, "bytesReused": 0, "bytesMounted": 0, "requests": 3, "retries": 0
		}
	}`
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		fmt.Println(err)
		return
	}
	object, _, err := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer().Decode([]byte(report), nil, nil)
	push, ok := object.(*v1alpha1.Push)
	if err != nil || !ok {
		fmt.Println(err)
		return
	}
	ready := meta.FindStatusCondition(push.Status.Conditions, v1alpha1.ConditionReady)
	fmt.Println(push.Spec.Destination, ready.Status, ready.Reason)
	// Output: git.example.com/me/app False Denied
}

// A program can have the types within its own, and the functions of Kubernetes
// work on them.
func ExampleRegistrySpec() {
	type Environment struct {
		Name     string                  `json:"name"`
		Registry v1alpha1.RegistrySpec   `json:"registry"`
		Status   v1alpha1.RegistryStatus `json:"status,omitzero"`
	}
	dev := Environment{Name: "dev", Registry: v1alpha1.RegistrySpec{
		URL: "https://git.example.com", CAFiles: []string{"ca.pem"},
		Credential: &v1alpha1.CredentialSource{Env: "GITEA_TOKEN"}, // where it is, never what it is
	}}
	meta.SetStatusCondition(&dev.Status.Conditions, metav1.Condition{Type: v1alpha1.ConditionReachable, Status: metav1.ConditionTrue, Reason: "Answered"})
	encoded, err := json.Marshal(dev.Registry)
	fmt.Println(string(encoded), err)
	fmt.Println(meta.IsStatusConditionTrue(dev.Status.Conditions, v1alpha1.ConditionReachable))
	// Output:
	// {"url":"https://git.example.com","caFiles":["ca.pem"],"credential":{"env":"GITEA_TOKEN"}} <nil>
	// true
}
