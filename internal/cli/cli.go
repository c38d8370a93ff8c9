// Package cli is what the commands share: exit codes, how an error looks, what
// -o takes, tables, and how reports are shown to people. What a command does is
// its own file's business, and what it asks is another package's.
package cli
