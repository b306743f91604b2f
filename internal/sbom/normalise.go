package sbom

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// randomUUID is the tail of a documentNamespace that Syft makes up anew for
// each run.
var randomUUID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// NormaliseSPDX makes an SPDX JSON document a function of what it describes:
// creationInfo.created (SPDX 2.3, 6.9) is the source's time, and
// documentNamespace (6.5), which must be unique to the document, ends in a
// UUID of its content. Everything else stays.
func NormaliseSPDX(raw []byte, source Source) ([]byte, error) {
	document, err := object(raw)
	if err != nil {
		return nil, err
	}
	version, _ := document["spdxVersion"].(string)
	if !strings.HasPrefix(version, "SPDX-2.") {
		return nil, fmt.Errorf("spdxVersion: expected SPDX-2.x, found %q", version)
	}
	info, ok := document["creationInfo"].(map[string]any)
	if !ok {
		return nil, errors.New("creationInfo: expected an object, found none")
	}
	info["created"] = timestamp(source.Created)
	namespace, _ := document["documentNamespace"].(string)
	prefix := randomUUID.ReplaceAllString(namespace, "")
	if prefix == namespace {
		return nil, fmt.Errorf("documentNamespace: expected a URI that ends in a UUID, found %q", namespace)
	}
	document["documentNamespace"] = prefix
	id, err := ContentUUID(document)
	if err != nil {
		return nil, err
	}
	document["documentNamespace"] = prefix + id
	return Encode(document)
}

// NormaliseCycloneDX makes a CycloneDX JSON document a function of what it
// describes: metadata.timestamp is the source's time and serialNumber a UUID of
// the document's content. Everything else stays.
func NormaliseCycloneDX(raw []byte, source Source) ([]byte, error) {
	document, err := object(raw)
	if err != nil {
		return nil, err
	}
	if document["bomFormat"] != "CycloneDX" {
		return nil, fmt.Errorf("bomFormat: expected CycloneDX, found %v", document["bomFormat"])
	}
	metadata, ok := document["metadata"].(map[string]any)
	if !ok {
		return nil, errors.New("metadata: expected an object, found none")
	}
	metadata["timestamp"] = timestamp(source.Created)
	delete(document, "serialNumber")
	id, err := ContentUUID(document)
	if err != nil {
		return nil, err
	}
	document["serialNumber"] = "urn:uuid:" + id
	return Encode(document)
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// ContentUUID is a version 8 UUID (RFC 9562, 5.8) of the first bytes of the
// content's SHA-256.
func ContentUUID(document map[string]any) (string, error) {
	content, err := Encode(document)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(content)
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	h := hex.EncodeToString(id)
	return strings.Join([]string{h[:8], h[8:12], h[12:16], h[16:20], h[20:]}, "-"), nil
}

// object reads one JSON object and keeps numbers as they are written.
func object(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return nil, fmt.Errorf("read JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read JSON: more follows the document")
	}
	if document == nil {
		return nil, errors.New("read JSON: expected an object, found null")
	}
	return document, nil
}

// Encode writes keys in order, so that equal documents are equal bytes.
func Encode(document map[string]any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(document); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return out.Bytes(), nil
}
