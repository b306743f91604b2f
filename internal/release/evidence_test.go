package release_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

func TestTheStateOfAnImageIsThatOfItsIndexOrOfEveryPlatform(t *testing.T) {
	t.Parallel()
	const v, i, a, u = release.StateVerified, release.StateInvalid, release.StateAbsent, release.StateUnknown
	tests := map[string]struct {
		index     release.State
		platforms []release.State
		want      release.State
	}{
		"the index stands for all":            {v, []release.State{a, i, u}, v},
		"every platform":                      {a, []release.State{v, v}, v},
		"every platform beside a bad index":   {i, []release.State{v, v}, v},
		"not every platform":                  {a, []release.State{v, a}, a},
		"one platform invalid":                {a, []release.State{v, i}, i},
		"unknown weighs most":                 {a, []release.State{i, u}, u},
		"an unknown index may hold it":        {u, []release.State{a, a}, u},
		"an invalid index and none elsewhere": {i, []release.State{a, a}, i},
		"nothing":                             {a, []release.State{a, a}, a},
		"a single manifest":                   {i, nil, i},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := release.Examination{Digest: "sha256:index", Evidence: []release.Evidence{
				{Kind: release.PaperSBOM, Subject: "sha256:index", On: "index", State: tt.index, Reason: "why"},
				{Kind: release.PaperVEX, Subject: "sha256:index", On: "index", State: u, Reason: "another kind"},
			}}
			for _, s := range tt.platforms {
				e.Evidence = append(e.Evidence, release.Evidence{Kind: release.PaperSBOM, Subject: "sha256:p", On: "linux/amd64", State: s, Reason: "why"})
			}
			if got, reason := e.State(release.PaperSBOM); got != tt.want || reason == "" {
				t.Errorf("got %s: %q, want %s", got, reason, tt.want)
			}
		})
	}
}

func TestTheSignatureOfAnImageIsThatOfItsIndex(t *testing.T) {
	t.Parallel()
	const v, i, a, u = release.StateVerified, release.StateInvalid, release.StateAbsent, release.StateUnknown
	tests := map[string]struct{ index, platform, want release.State }{
		"signed":                              {v, a, v},
		"signed platforms are not enough":     {a, v, a},
		"nor beside a forged signature":       {i, v, i},
		"nor beside one that may not be read": {u, v, u},
		"a forged platform is said":           {a, i, i},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := release.Examination{Digest: "sha256:index", Evidence: []release.Evidence{
				{Kind: release.PaperSignature, Subject: "sha256:index", On: "index", State: tt.index, Reason: "why"},
				{Kind: release.PaperSignature, Subject: "sha256:p", On: "linux/amd64", State: tt.platform, Reason: "why"},
			}}
			if got, reason := e.State(release.PaperSignature); got != tt.want || reason == "" {
				t.Errorf("got %s: %q, want %s", got, reason, tt.want)
			}
		})
	}
}

func TestWhatNobodySignedIsNotDisputed(t *testing.T) {
	t.Parallel()
	piece := release.Evidence{State: release.StateInvalid, Papers: []release.Paper{{State: release.StateInvalid, Unsigned: true}}}
	if piece.Disputed() {
		t.Error("unsigned: got disputed")
	}
	piece.Papers = append(piece.Papers, release.Paper{State: release.StateInvalid})
	if !piece.Disputed() {
		t.Error("forged: got not disputed")
	}
}

func TestSignerString(t *testing.T) {
	t.Parallel()
	for want, signer := range map[string]release.Signer{
		"": {}, "key a.pub": {Key: "a.pub"}, "a@b.c (issuer https://i)": {Identity: "a@b.c", Issuer: "https://i"},
	} {
		if got := signer.String(); got != want || strings.Contains(got, "  ") {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestRebuilders(t *testing.T) {
	t.Parallel()
	const index, amd64, arm64 = release.Digest("index"), release.Digest("amd64"), release.Digest("arm64")
	tests := map[string]struct {
		signers map[release.Digest][]string
		want    []string
	}{
		"nobody":                        {map[release.Digest][]string{index: nil, amd64: nil}, nil},
		"about the index":               {map[release.Digest][]string{index: {"b", "a", "a"}, amd64: nil, arm64: nil}, []string{"a", "b"}},
		"about every platform":          {map[release.Digest][]string{index: nil, amd64: {"a", "b"}, arm64: {"a"}}, []string{"a"}},
		"about both, counted once":      {map[release.Digest][]string{index: {"a"}, amd64: {"a"}, arm64: {"a"}}, []string{"a"}},
		"twice about a single platform": {map[release.Digest][]string{index: nil, amd64: {"a", "a"}, arm64: nil}, nil},
		"without an index":              {map[release.Digest][]string{index: {"a"}}, []string{"a"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := release.Rebuilders(index, tt.signers); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
