package console

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	indexDigest    = release.Digest("sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f")
	platformDigest = release.Digest("sha256:2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e2e")
)

func texts() []string {
	return []string{
		"plain", "", "it's", "a b", "$(touch /tmp/x)", "`id`", "a;b", "a&&b", "a|b", "*", "~", "-rf", "a\"b", "'", "''", "\\", "a\\'b", "日本", "${x}", "#x", "a=b", "!x",
		"ghcr.io/a/b@sha256:00", "{{ .x }}", "%{ if true }", "<script>",
	}
}

// What is pasted into a shell is one word of it, whatever it is.
func TestTextIsOneWordOfAShell(t *testing.T) {
	t.Parallel()
	for _, want := range texts() {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "for a in "+shell(want)+"; do printf '[%s]' \"$a\"; done").CombinedOutput()
		if err != nil || string(got) != "["+want+"]" {
			t.Errorf("%q as %s: got %s, %v", want, shell(want), got, err)
		}
	}
	if got := shell("a\nb\x1b[2J\u202ec"); got != "'a\uFFFDb\uFFFD[2J\uFFFDc'" {
		t.Errorf("control characters: got %q", got)
	}
}

func TestTextIsOneStringOfYAML(t *testing.T) {
	t.Parallel()
	for _, want := range texts() {
		var got map[string]string
		if err := yaml.Unmarshal([]byte("image: "+quoted(want)), &got); err != nil || got["image"] != want {
			t.Errorf("%q: got %q, %v", want, got["image"], err)
		}
	}
}

func TestNothingIsFilledIn(t *testing.T) {
	t.Parallel()
	if got, want := nomadText(`${x} %{y} "z"`), `$${x} %%{y} "z"`; got != want {
		t.Errorf("Nomad: got %s, want %s", got, want)
	}
	if got, want := composed(`${x} $y "z"`), `"$${x} $$y \"z\""`; got != want {
		t.Errorf("Compose: got %s, want %s", got, want)
	}
}

func TestNamesAreLabelsOfDNS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"web": "web", "My_App.v2": "my-app-v2", "--x--": "x", "": "image", "日本": "image", strings.Repeat("a", 100): strings.Repeat("a", 40), "a" + strings.Repeat("-", 60) + "b": "a",
	} {
		if got := label(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func image(repository string) *account.Release {
	r := &account.Release{}
	r.Version = "v1.2.3"
	r.Image = release.Image{Repository: repository, Digest: indexDigest, Platforms: []release.Platform{{OS: "linux", Architecture: "arm64", Digest: platformDigest}}}
	return r
}

// Every snippet names the image by its digest, and those of our own images hand in what
// deploy/ hands in.
func TestImagesAreRunByDigest(t *testing.T) {
	t.Parallel()
	for _, repository := range []string{"ghcr.io/tallyman-io/tallyman/web", "localhost:5000/tallyman/worker", "docker.io/library/nginx"} {
		own := ownService(repository) != ""
		for _, s := range runSnippets(image(repository)) {
			if !strings.Contains(s.Text, repository+"@"+string(indexDigest)) || strings.Contains(s.Text, "v1.2.3") {
				t.Errorf("%s: not by digest:\n%s", s.ID, s.Text)
			}
			if got := strings.Contains(s.Text, "TALLYMAN_IMAGE_DIGEST"); got != own {
				t.Errorf("%s of %s: settings of Tallyman: %t, want %t", s.ID, repository, got, own)
			}
			if s.ID == "run-compose" || s.ID == "run-kubernetes" {
				var parsed map[string]any
				if err := yaml.Unmarshal([]byte(s.Text), &parsed); err != nil {
					t.Errorf("%s: %v\n%s", s.ID, err, s.Text)
				}
			}
			if strings.Count(s.Text, "{") != strings.Count(s.Text, "}") {
				t.Errorf("%s: braces do not match:\n%s", s.ID, s.Text)
			}
		}
	}
}

func TestAWorkerIsToldWhatToLookAt(t *testing.T) {
	t.Parallel()
	const want = "TALLYMAN_REPOSITORIES=localhost:5000/tallyman/web,localhost:5000/tallyman/worker"
	if got := runSnippets(image("localhost:5000/tallyman/worker"))[0].Text; !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant %s in it", got, want)
	}
}

func signed(signer string, logIndex int64) *account.Release {
	r := image("ghcr.io/a/web")
	paper := func(predicate string) ledger.Paper {
		return ledger.Paper{State: release.StateVerified, Signer: signer, LogIndex: logIndex, PredicateType: predicate}
	}
	r.Evidence = map[release.PaperKind]release.State{release.PaperSignature: release.StateVerified, release.PaperSBOM: release.StateVerified, release.PaperVEX: release.StateAbsent}
	r.Pieces = []account.Piece{
		{Kind: release.PaperSignature, Subject: indexDigest, On: "index", State: release.StateVerified, Papers: []ledger.Paper{paper("")}},
		{Kind: release.PaperSBOM, Subject: platformDigest, On: "linux/arm64", State: release.StateVerified, Papers: []ledger.Paper{paper("https://cyclonedx.org/bom")}},
	}
	r.Documents = []account.Document{{Kind: release.PaperSBOM, Subject: platformDigest, On: "linux/arm64", Digest: platformDigest, Verified: true, Format: "CycloneDX"}}
	return r
}

func commandsOf(g verifyGuide) string {
	var all []string
	for _, s := range g.Snippets {
		all = append(all, strings.ReplaceAll(s.Text, " \\\n  ", " "))
	}
	return strings.Join(all, "\n")
}

func TestCommandsAskForTheSignerThatWasVerified(t *testing.T) {
	t.Parallel()
	const at = "ghcr.io/a/web@" + string(indexDigest)
	tests := map[string]struct {
		release *account.Release
		want    []string
	}{
		"a key without a log": {signed("key cosign.pub", -1), []string{
			"crane digest ghcr.io/a/web:v1.2.3",
			"cosign verify --key cosign.pub --insecure-ignore-tlog=true " + at,
			"cosign verify-attestation --key cosign.pub --insecure-ignore-tlog=true --type cyclonedx ghcr.io/a/web@" + string(platformDigest),
			"tallyman verify " + at + " --key cosign.pub --require signature,sbom",
			"tallyman sbom " + at + " --key cosign.pub --platform linux/arm64 --format cyclonedx | sha256sum",
		}},
		"a key that the worker has in a folder": {signed("key /etc/tallyman/cosign.pub", -1), []string{"cosign verify --key cosign.pub --insecure-ignore-tlog=true " + at}},
		"a key of a service":                    {signed("key awskms:///alias/release", 7), []string{"cosign verify --key awskms:///alias/release " + at}},
		"a key in a log":                        {signed("key my key.pub", 7), []string{"cosign verify --key 'my key.pub' " + at}},
		"an identity": {signed("https://ci.example/w@refs/tags/v1 (issuer https://issuer.example)", 7), []string{
			"cosign verify --certificate-identity https://ci.example/w@refs/tags/v1 --certificate-oidc-issuer https://issuer.example " + at,
			"tallyman verify " + at + " --identity https://ci.example/w@refs/tags/v1 --issuer https://issuer.example --trusted-root trusted_root.json --require signature,sbom",
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := commandsOf(newVerifyGuide(tt.release))
			for _, want := range tt.want {
				if !slices.Contains(strings.Split(got, "\n"), want) {
					t.Errorf("got\n%s\nwant a line\n%s", got, want)
				}
			}
		})
	}
}

// What a command reads is got by one above it.
func TestTheTrustedRootIsGotWhereItIsAskedFor(t *testing.T) {
	t.Parallel()
	const get = "cosign trusted-root create --with-default-services --out trusted_root.json"
	for signer, want := range map[string]bool{"key cosign.pub": false, "https://ci.example/w (issuer https://issuer.example)": true} {
		r := signed(signer, 7)
		r.Image.Repository = "ghcr.io/tallyman-io/tallyman/web"
		r.Build = &release.Build{Source: "git+https://github.com/tallyman-io/tallyman@refs/tags/v1.2.3", Commit: "c0ffee"}
		r.Pieces = append(r.Pieces, account.Piece{Kind: release.PaperProvenance, Subject: indexDigest, State: release.StateVerified, Papers: []ledger.Paper{
			{State: release.StateVerified, Signer: signer, LogIndex: 7},
		}})
		for name, all := range map[string][]snippet{"verify": newVerifyGuide(r).Snippets, "reproduce": reproduceSnippets(r)} {
			got, asked := false, 0
			for _, s := range all {
				got = got || s.Text == get
				if strings.Contains(s.Text, "--trusted-root trusted_root.json") {
					asked++
					if !got {
						t.Errorf("%s, %s: %s reads a file that nothing made", signer, name, s.ID)
					}
				}
			}
			if got != want || (asked > 1) != want {
				t.Errorf("%s, %s: the root is got: %t, and asked for %d times", signer, name, got, asked)
			}
		}
	}
}

func TestAnSBOMIsAskedForOnlyWhereOneIsMeant(t *testing.T) {
	t.Parallel()
	on := func(subject, digest release.Digest, place, format string) account.Document {
		return account.Document{Kind: release.PaperSBOM, Subject: subject, On: place, Digest: digest, Verified: true, Format: format}
	}
	const one, other = indexDigest, platformDigest // of documents
	tests := map[string]struct {
		documents []account.Document
		want      []string
	}{
		"on a platform":                      {[]account.Document{on(platformDigest, one, "linux/arm64", "SPDX")}, []string{"--platform linux/arm64 --format spdx"}},
		"on the index alone":                 {[]account.Document{on(indexDigest, one, "index", "SPDX")}, []string{"--format spdx"}},
		"on the index, in two formats":       {[]account.Document{on(indexDigest, one, "index", "CycloneDX"), on(indexDigest, other, "index", "SPDX")}, []string{"--format cyclonedx"}},
		"on a platform, and on the index":    {[]account.Document{on(platformDigest, one, "linux/arm64", "SPDX"), on(indexDigest, one, "index", "SPDX")}, []string{"--platform linux/arm64 --format spdx"}},
		"on the index, of several platforms": {[]account.Document{on(indexDigest, one, "index", "SPDX"), on(indexDigest, other, "index", "SPDX")}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := signed("key cosign.pub", -1)
			r.Documents = tt.documents
			var got []string
			for line := range strings.SplitSeq(commandsOf(newVerifyGuide(r)), "\n") {
				if rest, ok := strings.CutPrefix(line, "tallyman sbom ghcr.io/a/web@"+string(indexDigest)+" --key cosign.pub "); ok {
					got = append(got, strings.TrimSuffix(rest, " | sha256sum"))
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestWithoutAVerifiedSignatureNoSignerIsNamed(t *testing.T) {
	t.Parallel()
	r := signed("key cosign.pub", -1)
	r.Pieces[0].State, r.Pieces[0].Reason, r.Pieces[0].Papers[0].State = release.StateInvalid, "signed by another key", release.StateInvalid
	g := newVerifyGuide(r)
	if g.Who != "" || g.Missing != "Invalid: signed by another key" || strings.Contains(commandsOf(g), "--key") {
		t.Errorf("got %+v", g)
	}
}

func TestASourceIsClonedOnlyByHTTPS(t *testing.T) {
	t.Parallel()
	for location, want := range map[string][2]string{
		"git+https://github.com/a/b@refs/tags/v1.2.3": {"https://github.com/a/b", "v1.2.3"},
		"git+https://github.com/a/b@refs/heads/main":  {"https://github.com/a/b", ""},
		"https://github.com/a/b":                      {"https://github.com/a/b", ""},
		"git+ssh://git@github.com/a/b":                {"", ""},
		"git+file:///etc@refs/tags/v1":                {"", ""},
		"git+https://x/a@refs/tags/--upload-pack=x":   {"", ""},
		"ext::sh -c id":                               {"", ""},
	} {
		if address, tag := sourceOf(location); address != want[0] || tag != want[1] {
			t.Errorf("%s: got %q, %q, want %q", location, address, tag, want)
		}
	}
}

func TestReproducingChecksTheCommitAndTheDigest(t *testing.T) {
	t.Parallel()
	r := image("ghcr.io/tallyman-io/tallyman/web")
	if got := reproduceSnippets(r); got != nil {
		t.Errorf("without provenance: got %v", got)
	}
	r.Build = &release.Build{Source: "git+https://github.com/tallyman-io/tallyman@refs/tags/v1.2.3", Commit: "c0ffee"}
	r.Pieces = []account.Piece{{Kind: release.PaperProvenance, Subject: indexDigest, State: release.StateVerified, Papers: []ledger.Paper{
		{State: release.StateVerified, Signer: "key my key.pub", LogIndex: -1},
	}}}
	all := reproduceSnippets(r)
	var got string
	for _, s := range all {
		got += strings.ReplaceAll(s.Text, " \\\n  ", " ") + "\n"
	}
	for _, want := range []string{
		"tallyman reproduce ghcr.io/tallyman-io/tallyman/web@" + string(indexDigest) + " --key 'my key.pub'\n",
		"TALLYMAN_REGISTRY=ghcr.io/tallyman-io/tallyman tallyman reproduce v1.2.3 --key 'my key.pub'\n", "git checkout v1.2.3 && ", `test "$(git rev-parse HEAD)" = c0ffee`, "make snapshot", "grep " + string(indexDigest) + " rehearsal/digests.txt",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant %q in it", got, want)
		}
	}
	r.Image.Repository = "ghcr.io/other/thing"
	if got := reproduceSnippets(r); len(got) != 1 || strings.Contains(got[0].Text, "make snapshot") {
		t.Errorf("of another image: got %v", got)
	}
}
