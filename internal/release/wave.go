package release

// WaveCause says what set off a wave of changes.
type WaveCause string

// The causes.
const (
	// WaveRelease: an image was looked at for the first time.
	WaveRelease WaveCause = "release"
	// WaveEvidence: what is known of the papers of an image changed.
	WaveEvidence WaveCause = "evidence"
	// WaveAdvisories: a feed published, changed or withdrew advisories.
	WaveAdvisories WaveCause = "advisories"
	// WavePolicy: images are judged by another policy, or later, than before.
	WavePolicy WaveCause = "policy"
	// WaveTag: a version tag moved.
	WaveTag WaveCause = "tag"
)
