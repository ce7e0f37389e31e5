package controller_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/docker-gitea/docker-gitea/docs/examples/controller"
	"github.com/docker-gitea/docker-gitea/registry/registrytest"
	"github.com/docker-gitea/docker-gitea/registry/remote"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// A client of Kubernetes stores the objects and reads them back, and the
// controller does what they say.
func TestReconcile(t *testing.T) {
	server := registrytest.Start(t, registrytest.Config{})
	pusher, err := remote.New(server.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		destination string
		want        metav1.ConditionStatus
		message     string
	}{
		"pushed": {destination: "alice/hello", want: metav1.ConditionTrue},
		"denied": {destination: "nobody/hello", want: metav1.ConditionFalse, message: "\nhint: "},
	} {
		t.Run(name, func(t *testing.T) {
			key := types.NamespacedName{Namespace: "default", Name: name}
			object := &v1alpha1.Push{
				ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
				Spec:       v1alpha1.PushSpec{Source: "../../../registry/remote/testdata/hello", Destination: test.destination, Tags: []string{"1"}},
			}
			kubernetes := fake.NewClientBuilder().WithScheme(scheme).WithObjects(object).WithStatusSubresource(object).Build()
			r := &controller.Reconciler{Client: kubernetes, Registry: pusher}
			_, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
			if (err == nil) != (test.want == metav1.ConditionTrue) {
				t.Fatalf("got %v", err)
			}
			var got v1alpha1.Push
			if err := kubernetes.Get(t.Context(), key, &got); err != nil {
				t.Fatal(err)
			}
			condition := meta.FindStatusCondition(got.Status.Conditions, v1alpha1.ConditionPushed)
			if condition == nil || condition.Status != test.want || !strings.Contains(condition.Message, test.message) {
				t.Errorf("got %+v", condition)
			}
			if pushed := strings.HasPrefix(got.Status.Digest, "sha256:"); pushed != (err == nil) || got.Status.CompletionTime.IsZero() {
				t.Errorf("got %+v", got.Status)
			}
			var list v1alpha1.PushList
			if err := kubernetes.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
				t.Errorf("got %d objects, %v", len(list.Items), err)
			}
		})
	}
}
