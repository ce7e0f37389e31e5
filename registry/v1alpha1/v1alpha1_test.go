package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"

	"github.com/docker-gitea/docker-gitea/registry/v1alpha1"
)

// decoder is what Kubernetes' clients decode with.
func decoder(t *testing.T) (runtime.Decoder, *runtime.Scheme) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer(), scheme
}

// Kubernetes decodes what it encodes, with every field filled in.
func TestKubernetesDecodes(t *testing.T) {
	decode, scheme := decoder(t)
	yes, jobs, retries := true, 2, 0
	when := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local())
	condition := metav1.Condition{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Denied", Message: "no", LastTransitionTime: when}
	minute := metav1.Duration{Duration: time.Minute}
	for _, want := range []runtime.Object{
		&v1alpha1.RegistryList{
			TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindRegistryList},
			Items: []v1alpha1.Registry{{
				ObjectMeta: metav1.ObjectMeta{Name: "example"},
				Spec: v1alpha1.RegistrySpec{
					URL: "https://git.example.com", CAFiles: []string{"ca.pem"}, CAData: "PEM", CertFile: "c", KeyFile: "k", Insecure: &yes,
					Credential: &v1alpha1.CredentialSource{Env: "TOKEN"},
					Timeout:    &minute, ConnectTimeout: &minute, StallTimeout: &minute, Jobs: &jobs, Retries: &retries, ChunkSize: "90MB", LimitRate: "5MB/s",
					Platform: "linux/amd64", Compression: &v1alpha1.Compression{Algorithm: "zstd", Level: 3}, Progress: "plain",
				},
				Status: v1alpha1.RegistryStatus{Conditions: []metav1.Condition{condition}},
			}},
		},
		&v1alpha1.Push{
			TypeMeta: metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.KindPush},
			Spec:     v1alpha1.PushSpec{Source: "app", Destination: "git.example.com/me/app", Tags: []string{"1"}, Timeout: minute, Insecure: true},
			Status: v1alpha1.PushStatus{
				Conditions: []metav1.Condition{condition}, Digest: "sha256:ab", Size: 7, BytesSent: 1 << 40,
				Blobs:     []v1alpha1.BlobStatus{{Digest: "sha256:cd", Size: 5, Status: "Pushed"}},
				StartTime: when, CompletionTime: when, Duration: metav1.Duration{Duration: 1500 * time.Millisecond},
			},
		},
	} {
		for _, yaml := range []bool{false, true} {
			encoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: yaml})
			var encoded strings.Builder
			if err := encoder.Encode(want, &encoded); err != nil {
				t.Fatal(err)
			}
			got, _, err := decode.Decode([]byte(encoded.String()), nil, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, &encoded)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s\n%s", diff, &encoded)
			}
			if diff := cmp.Diff(want, want.DeepCopyObject()); diff != "" {
				t.Errorf("the copy differs: %s", diff)
			}
		}
	}
}

func TestUnknownFieldsAreRefused(t *testing.T) {
	decode, _ := decoder(t)
	const list = `{"apiVersion": "docker-gitea.github.io/v1alpha1", "kind": "RegistryList", "items": [{"spec": {"password": "x"}}]}`
	_, _, err := decode.Decode([]byte(list), nil, nil)
	if err == nil || !strings.Contains(err.Error(), `unknown field "items[0].spec.password"`) {
		t.Errorf("got %v", err)
	}
}

// Absent parts leave no trace in an object.
func TestZeroIsShort(t *testing.T) {
	_, scheme := decoder(t)
	encoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{})
	var encoded strings.Builder
	if err := encoder.Encode(&v1alpha1.Registry{}, &encoded); err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(encoded.String()); got != "{}" {
		t.Errorf("got %s, want {}", got)
	}
}

// The lists are lists to Kubernetes' own functions.
func TestLists(t *testing.T) {
	for _, list := range []runtime.Object{
		&v1alpha1.RegistryList{Items: []v1alpha1.Registry{{}, {}}},
		&v1alpha1.PushList{Items: []v1alpha1.Push{{}, {}}},
	} {
		if got := meta.LenList(list); got != 2 {
			t.Errorf("%T: got %d items, want 2", list, got)
		}
	}
}
