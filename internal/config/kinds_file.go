package config

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode/utf8"
)

// namedFileLimit bounds a file that a setting names. A trusted root has some
// 10 KiB; VEX documents of a whole product line reach megabytes.
const namedFileLimit = 16 << 20

// optionalFile is a setting that names a file, or nothing. The file is read at
// once, and found says what is wrong with its content, or "".
func optionalFile(expected string, found func([]byte) string) kind[File] {
	return kind[File]{
		name: "path", expected: expected, schema: map[string]any{"type": "string"},
		parse: func(path string) (File, []problem) {
			if path == "" {
				return File{}, nil
			}
			file, p := readNamed(path, found)
			if p != nil {
				return File{}, []problem{*p}
			}
			return file, nil
		},
		text: onlyString,
		show: func(f File) any { return f.Path },
	}
}

// files is a list of [optionalFile].
func files(expected string, found func([]byte) string) kind[[]File] {
	return listOf(listForm[File]{
		item: "path", expected: expected, separators: commas + whiteSpace,
		schema: map[string]any{"type": "string", "minLength": 1},
		parse:  func(path string) (File, *problem) { return readNamed(path, found) },
		show:   func(f File) string { return f.Path },
	})
}

func readNamed(path string, found func([]byte) string) (File, *problem) {
	content, what := readBounded(path, namedFileLimit)
	if what == "" {
		if what = found(content); what != "" {
			what = path + " has " + what
		}
	}
	if what != "" {
		return File{}, &problem{found: path, what: what}
	}
	return File{Path: path, Content: content}, nil
}

// publicKeyProblem says what a file has instead of one public key.
func publicKeyProblem(content []byte) string {
	block, rest := pem.Decode(content)
	switch {
	case block == nil:
		return "no PEM in it"
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return "a private key in it, which does not belong here"
	case block.Type != "PUBLIC KEY":
		return "a " + shortened(oneLine(block.Type)) + " in it"
	}
	if again, _ := pem.Decode(rest); again != nil {
		return "more than one PEM block in it"
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "a public key in it that cannot be read: " + err.Error()
	}
	switch key.(type) {
	case *ecdsa.PublicKey, *rsa.PublicKey, ed25519.PublicKey:
		return ""
	}
	return fmt.Sprintf("a public key of another type in it (%T)", key)
}

// trustedRoot is as much of a Sigstore trusted root as is looked at here: its
// media type, and whether it has what other settings need. See TrustedRoot in
// https://github.com/sigstore/protobuf-specs.
type trustedRoot struct {
	MediaType              string            `json:"mediaType"`
	CertificateAuthorities []json.RawMessage `json:"certificateAuthorities"`
	TransparencyLogs       []json.RawMessage `json:"tlogs"`
}

// parseTrustedRoot returns the zero value for what is no trusted root.
func parseTrustedRoot(content []byte) trustedRoot {
	var root trustedRoot
	if err := json.Unmarshal(content, &root); err != nil {
		return trustedRoot{}
	}
	return root
}

func trustedRootProblem(content []byte) string {
	// The media type is …trustedroot+json;version=0.1 or …trustedroot.v0.2+json.
	const mediaType = "application/vnd.dev.sigstore.trustedroot"
	switch root := parseTrustedRoot(content); {
	case !json.Valid(content):
		return "no JSON in it"
	case !strings.HasPrefix(root.MediaType, mediaType):
		return fmt.Sprintf("the media type %q", shortened(root.MediaType))
	}
	return ""
}

// vexProblem looks at the context of an OpenVEX document (OpenVEX
// specification 0.2.0, "@context").
func vexProblem(content []byte) string {
	const context = "https://openvex.dev/ns"
	var document struct {
		Context string `json:"@context"`
	}
	if !json.Valid(content) {
		return "no JSON in it"
	}
	if err := json.Unmarshal(content, &document); err != nil {
		return "JSON of another form in it"
	}
	if !strings.HasPrefix(document.Context, context) {
		return fmt.Sprintf("the @context %q", shortened(document.Context))
	}
	return ""
}

func textProblem(content []byte) string {
	switch {
	case !utf8.Valid(content):
		return "bytes in it that are not UTF-8"
	case strings.TrimSpace(string(content)) == "":
		return "nothing in it"
	}
	return ""
}
