package evidence

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxDepth bounds how deep a paper may nest. SBOMs and provenance stay below 30.
	maxDepth = 256
	// maxSubjects bounds the subjects of a statement, maxSignatures the signatures
	// of an envelope.
	maxSubjects   = 1024
	maxSignatures = 16

	payloadInToto = "application/vnd.in-toto+json"
)

// statement is an in-toto statement, v0.1 or v1
// (https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md).
type statement struct {
	predicateType string
	// subjects are the SHA-256 digests that it is about.
	subjects  []string
	predicate json.RawMessage
}

// checkJSON refuses JSON that readers disagree about or that costs too much to
// read: not UTF-8, nested too deep, or more than one value.
func checkJSON(b []byte) error {
	if !utf8.Valid(b) {
		return errors.New("expected UTF-8")
	}
	depth, quoted, escaped := 0, false, false
	for _, c := range b {
		switch {
		case escaped:
			escaped = false
		case quoted:
			escaped, quoted = c == '\\', c != '"'
		case c == '"':
			quoted = true
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return fmt.Errorf("expected at most %d levels of nesting", maxDepth)
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	if !json.Valid(b) {
		return errors.New("expected one JSON value")
	}
	return nil
}

// object reads the members of a JSON object. A name that comes twice is refused:
// one reader takes the first, another the last.
func object(b []byte) (map[string]json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(b))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		return nil, fmt.Errorf("expected a JSON object, found %.20q", b)
	}
	members := make(map[string]json.RawMessage)
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, ok := token.(string)
		if !ok {
			return nil, fmt.Errorf("expected the name of a member, found %v", token)
		}
		if _, twice := members[name]; twice {
			return nil, fmt.Errorf("expected %q once, found it twice", name)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		members[name] = value
	}
	return members, nil
}

// text returns a member that is a string, "" when there is none.
func text(members map[string]json.RawMessage, name string) (string, error) {
	raw, ok := members[name]
	if !ok {
		return "", nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return "", fmt.Errorf("%s: expected a string, found %.40s", name, raw)
	}
	return s, nil
}

// parseStatement reads an in-toto statement.
func parseStatement(b []byte) (statement, error) {
	if err := checkJSON(b); err != nil {
		return statement{}, fmt.Errorf("in-toto statement: %w", err)
	}
	members, err := object(b)
	if err != nil {
		return statement{}, fmt.Errorf("in-toto statement: %w", err)
	}
	kind, err := text(members, "_type")
	if err != nil {
		return statement{}, fmt.Errorf("in-toto statement: %w", err)
	}
	switch kind {
	case "https://in-toto.io/Statement/v0.1", "https://in-toto.io/Statement/v1":
	default:
		return statement{}, fmt.Errorf("in-toto statement: _type: expected https://in-toto.io/Statement/v1, found %.100q", kind)
	}
	s := statement{predicate: members["predicate"]}
	if s.predicateType, err = text(members, "predicateType"); err != nil {
		return statement{}, fmt.Errorf("in-toto statement: %w", err)
	}
	if s.predicateType == "" {
		return statement{}, errors.New("in-toto statement: expected a predicateType, found none")
	}
	if s.subjects, err = parseSubjects(members["subject"]); err != nil {
		return statement{}, fmt.Errorf("in-toto statement: subject: %w", err)
	}
	return s, nil
}

func parseSubjects(raw json.RawMessage) ([]string, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, fmt.Errorf("expected a list, found %.40s", raw)
	}
	if len(list) > maxSubjects {
		return nil, fmt.Errorf("expected at most %d, found %d", maxSubjects, len(list))
	}
	var digests []string
	for _, item := range list {
		members, err := object(item)
		if err != nil {
			return nil, err
		}
		if _, ok := members["digest"]; !ok {
			continue
		}
		set, err := object(members["digest"])
		if err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
		hex, err := text(set, "sha256")
		if err != nil {
			return nil, fmt.Errorf("digest: %w", err)
		}
		if hex != "" {
			digests = append(digests, "sha256:"+hex)
		}
	}
	return digests, nil
}

// about returns nil when the statement is about the digest.
func (s statement) about(subject release.Digest) error {
	for _, digest := range s.subjects {
		if digest == string(subject) {
			return nil
		}
	}
	return aboutAnother(subject, s.subjects)
}

func aboutAnother(subject release.Digest, found []string) error {
	const shown = 3
	more := ""
	if len(found) > shown {
		more = fmt.Sprintf(" and %d more", len(found)-shown)
		found = found[:shown]
	}
	if len(found) == 0 {
		found = []string{"none"}
	}
	return fmt.Errorf("subject: expected %s, found %s%s", subject, clip(strings.Join(found, ", ")), more)
}

// parseEnvelope reads a DSSE envelope (https://github.com/secure-systems-lab/dsse)
// around an in-toto statement, and returns the statement's bytes with it.
func parseEnvelope(b []byte) (*dsse.Envelope, []byte, error) {
	if err := checkJSON(b); err != nil {
		return nil, nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	if _, err := object(b); err != nil {
		return nil, nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	var envelope dsse.Envelope
	if err := json.Unmarshal(b, &envelope); err != nil {
		return nil, nil, fmt.Errorf("DSSE envelope: %w", err)
	}
	payload, err := checkEnvelope(&envelope)
	if err != nil {
		return nil, nil, err
	}
	return &envelope, payload, nil
}

func checkEnvelope(envelope *dsse.Envelope) ([]byte, error) {
	if envelope.PayloadType != payloadInToto {
		return nil, fmt.Errorf("DSSE envelope: payloadType: expected %s, found %.100q", payloadInToto, envelope.PayloadType)
	}
	if n := len(envelope.Signatures); n == 0 || n > maxSignatures {
		return nil, fmt.Errorf("DSSE envelope: signatures: expected 1 to %d, found %d", maxSignatures, n)
	}
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	if err != nil {
		return nil, fmt.Errorf("DSSE envelope: payload: expected base64: %w", err)
	}
	return payload, nil
}

// parseSimple reads the payload of a plain cosign signature and returns the digest
// that it is about (cosign, specs/SIGNATURE_SPEC.md).
func parseSimple(b []byte) (string, error) {
	if err := checkJSON(b); err != nil {
		return "", fmt.Errorf("simple signing payload: %w", err)
	}
	var payload struct {
		Critical struct {
			Image struct {
				Digest string `json:"docker-manifest-digest"` //nolint:tagliatelle // the format's name
			} `json:"image"`
			Type string `json:"type"`
		} `json:"critical"`
	}
	if err := json.Unmarshal(b, &payload); err != nil {
		return "", fmt.Errorf("simple signing payload: %w", err)
	}
	const want = "cosign container image signature"
	if payload.Critical.Type != want {
		return "", fmt.Errorf("simple signing payload: type: expected %q, found %.100q", want, payload.Critical.Type)
	}
	return payload.Critical.Image.Digest, nil
}
