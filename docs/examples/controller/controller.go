// Package controller is an example of a Kubernetes controller: it carries out
// Push objects, and writes what came of each into its status. The types are
// those of package v1alpha1 as they are; their CustomResourceDefinitions are in
// registry/v1alpha1/crd.
package controller

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/docker-gitea/docker-gitea/registry"
	"github.com/docker-gitea/docker-gitea/registry/image"
	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// Reconciler pushes images that are files: archives, or OCI layouts.
type Reconciler struct {
	client.Client
	// Registry is where the images go.
	Registry registry.RegistryClient
}

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).For(&v1alpha1.Push{}).Complete(r)
}

// Reconcile carries out a push that has not been pushed yet.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var push v1alpha1.Push
	if err := r.Get(ctx, req.NamespacedName, &push); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if meta.IsStatusConditionTrue(push.Status.Conditions, v1alpha1.ConditionPushed) {
		return ctrl.Result{}, nil
	}
	err := r.push(ctx, &push)
	condition := metav1.Condition{Type: v1alpha1.ConditionPushed, Status: metav1.ConditionTrue, Reason: "Pushed", ObservedGeneration: push.Generation}
	if err != nil {
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, "Failed", err.Error()
		if hint := registry.Diagnose(err).Hint; hint != "" {
			condition.Message += "\nhint: " + hint
		}
	}
	meta.SetStatusCondition(&push.Status.Conditions, condition)
	return ctrl.Result{}, errors.Join(err, r.Status().Update(ctx, &push))
}

// push sends the image and fills in the status.
func (r *Reconciler) push(ctx context.Context, push *v1alpha1.Push) error {
	source, err := image.Open(push.Spec.Source, nil)
	if err != nil {
		return err
	}
	defer source.Close()
	var result registry.Result
	push.Status.StartTime = metav1.NewTime(time.Now())
	err = r.Registry.Push(ctx, push.Spec.Destination, registry.PushOptions{
		Source: source, Tags: push.Spec.Tags, Timeout: push.Spec.Timeout.Duration, Result: &result,
	})
	push.Status.CompletionTime = metav1.NewTime(time.Now())
	push.Status.Digest, push.Status.Size, push.Status.BytesSent = result.Digest.String(), result.Size, result.BytesSent
	return err
}
