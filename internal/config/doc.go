// Package config resolves what web and worker are configured with.
//
// A setting comes from the first of these layers that has it: a flag, the
// environment, the configuration file, the built-in default. viper merges the
// layers; this package checks them. Each setting is described once, in
// settings.go; flags, environment variables, decoding, validation, the JSON
// Schema and docs/configuration.md all follow from that description.
//
// Load never stops at the first mistake: it returns all of them as Mistakes,
// each with the key, where the value came from, the redacted value, and what
// was expected. Anything that is not understood is a mistake, so that a typing
// error cannot silently leave a default in force.
package config
