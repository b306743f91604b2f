package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhereRegistriesMayLead(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	got, err := ForWorker().Load(Input{Environ: []string{
		"TALLYMAN_REGISTRY_HOSTS=auth.example,blobs.example:8443,*.cdn.example,*.s3.example:9000,10.0.0.5,[fd00::1]:5000",
		"TALLYMAN_REGISTRY_CONCURRENCY=64",
		"TALLYMAN_HOOKS_SECRET_FILE=" + file(t, "secret", secret+"\n"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"auth.example", "blobs.example:8443", "*.cdn.example", "*.s3.example:9000", "10.0.0.5", "[fd00::1]:5000"}
	if diff := cmp.Diff(want, got.Config.Registry.Hosts); diff != "" {
		t.Errorf("registry.hosts (-want +got):\n%s", diff)
	}
	if got.Config.Registry.Concurrency != 64 || got.Config.Hooks.Secret.Reveal() != secret {
		t.Errorf("got concurrency %d, hooks.secret of %d characters", got.Config.Registry.Concurrency, len(got.Config.Hooks.Secret.Reveal()))
	}
	text := "Authorization: Bearer " + secret
	for _, needle := range got.Needles {
		text = strings.ReplaceAll(text, needle, redacted)
	}
	if text != "Authorization: Bearer REDACTED" {
		t.Errorf("scrubbed: got %q", text)
	}
}

func TestHostsAndSecretsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, value string }{
		{"registry.hosts[0]", "https://auth.example"},
		{"registry.hosts[0]", "auth.example/token"},
		{"registry.hosts[0]", "*"},
		{"registry.hosts[0]", "*.com"},
		{"registry.hosts[0]", "*.com:443"},
		{"registry.hosts[0]", "*.0.0.5"},
		{"registry.hosts[0]", "*.10.0.0.5"},
		{"registry.hosts[0]", "a*.example"},
		{"registry.hosts[0]", "auth.*.example"},
		{"registry.hosts[0]", "auth.example:0"},
		{"registry.hosts[0]", "user@auth.example"},
		{"registry.hosts[0]", "auth..example"},
		{"registry.hosts[0]", "auth.example."},
		{"registry.hosts[0]", "-auth.example"},
		{"registry.hosts[0]", "auth-.example"},
		{"registry.hosts[0]", "aüth.example"},
		{"registry.hosts[0]", strings.Repeat("a", 64) + ".example"},
		{"registry.hosts[0]", strings.Repeat("a.", 123) + "example9"},
		{"registry.concurrency", "0"},
		{"registry.concurrency", "65"},
		{"hooks.secret", "short"},
		{"hooks.secret", strings.Repeat("a", 257)},
		{"hooks.secret", "0123456789abcdef01234567 89abcdef"},
		{"hooks.secret", "0123456789abcdef01234567@9abcdef"},
	} {
		key, _, _ := strings.Cut(tt.key, "[")
		_, err := ForWorker().Load(Input{Environ: []string{"TALLYMAN_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_")) + "=" + tt.value}})
		if err == nil || !strings.Contains(err.Error(), tt.key+": ") {
			t.Errorf("%s = %q: got %v, want a mistake at %s", key, tt.value, err, tt.key)
		}
	}
}
