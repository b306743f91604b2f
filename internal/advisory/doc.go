// Package advisory knows which packages have known vulnerabilities: it reads OSV
// records (https://ossf.github.io/osv-schema/), maps package URLs
// (https://github.com/package-url/purl-spec) to the ecosystems that OSV defines,
// compares versions as each ecosystem does, and explains what it finds.
//
// A [Record] is what a feed publishes. [Import] prepares a database file from
// records, [Open] opens one, and a [Matcher] finds the advisories of packages in
// it. The file is read through a memory map: a look-up touches a few pages, however
// many records there are.
package advisory
