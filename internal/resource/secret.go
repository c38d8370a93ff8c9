package resource

import (
	"fmt"
	"strings"

	"causeway/internal/vpn"
)

// Secretive is a resource with secrets that users give, such as pre-shared
// keys. In stores and in everything that the service hands out they are sealed.
type Secretive interface {
	Object
	Secrets() []SecretField
}

// SecretField is a secret of a resource, and where it stands.
type SecretField struct {
	Path  string
	Value *vpn.Secret
}

// sealMark begins every sealed secret. No secret that users give can have it,
// as it cannot be printed.
const sealMark = "\x00sealed:"

// Sealed returns a sealed secret from its text, which must be printable.
func Sealed(text string) vpn.Secret { return vpn.Secret(sealMark + text) }

// SealedText returns the text of a sealed secret, and whether s is one.
func SealedText(s vpn.Secret) (string, bool) { return strings.CutPrefix(s.Reveal(), sealMark) }

// secret judges a secret of characters that every device takes; one that is
// sealed was judged before, and a mask stands for one that was. Empty is well.
func (j *judge) secret(path string, s vpn.Secret, least, most int) {
	if _, sealed := SealedText(s); sealed || s == "" || s == vpn.Mask {
		return
	}
	text := s.Reveal()
	for _, c := range []byte(text) {
		if c <= ' ' || c >= 0x7f {
			j.refuse(path, "(not shown)", "printable ASCII characters without spaces", "replace the one that is none")
			return
		}
	}
	if len(text) < least || len(text) > most {
		j.refuse(path, fmt.Sprintf("%d characters", len(text)), fmt.Sprintf("%d to %d characters", least, most), "")
	}
}

// IsSealed reports whether s is sealed.
func IsSealed(s vpn.Secret) bool {
	_, sealed := SealedText(s)
	return sealed
}
