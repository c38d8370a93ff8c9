package vpn

import (
	"fmt"
	"log/slog"
)

// Secret is a pre-shared key or a private key. It prints as a mask however it is
// printed, and is encoded as it is: only stores, snapshots and configurations
// for a device may encode one.
type Secret string

// Mask is what a secret looks like to whoever may not see it.
const Mask = "********"

// String implements fmt.Stringer with a mask.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return Mask
}

// GoString implements fmt.GoStringer with a mask.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.String()) }

// Format implements fmt.Formatter, so that no verb shows a secret.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// LogValue implements slog.LogValuer with a mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }
