package resource

import (
	"time"

	"causeway/internal/problem"
)

// Role is what a caller may do; each includes the ones before it.
type Role string

const (
	Reader   Role = "reader"   // may look at everything but secrets
	Operator Role = "operator" // may create, change and delete accelerators and what hangs on them
	Admin    Role = "admin"    // may also change regions, PoPs, keys and tokens
)

// AccessKey lets a person or a program in. Its ID is what requests name.
type AccessKey struct {
	Meta          `yaml:",inline"`
	AccessKeySpec `yaml:",inline"`
	Status        Status `json:"status" yaml:"-"` // active or disabled

	// Sealed is the secret, encrypted; only the service's own code sees it.
	Sealed []byte `json:"sealed,omitempty" yaml:"-"`
}

// AccessKeySpec is what users say of an access key.
type AccessKeySpec struct {
	Role    Role  `json:"role,omitempty" yaml:"role,omitempty"`       // default reader
	Enabled *bool `json:"enabled,omitempty" yaml:"enabled,omitempty"` // default true
}

func (*AccessKey) Kind() Kind        { return KindAccessKey }
func (*AccessKey) Parents() []Parent { return nil }

// IsEnabled reports whether the key opens.
func (k *AccessKey) IsEnabled() bool { return k.Enabled == nil || *k.Enabled }

func (k *AccessKey) FillDefaults() {
	setDefault(&k.Role, Reader)
	k.Enabled = defaultTo(k.Enabled, true)
}

func (k *AccessKey) Validate() problem.List {
	var j judge
	j.meta(&k.Meta)
	j.choice("role", string(k.Role), string(Reader), string(Operator), string(Admin))
	return j.found
}

// Token lets one machine become one PoP or one VPN gateway, once.
type Token struct {
	Meta      `yaml:",inline"`
	TokenSpec `yaml:",inline"`
	Given     TokenGiven `json:"given" yaml:"-"`
	Status    Status     `json:"status" yaml:"-"` // usable, used or expired

	// Hash is SHA-256 of the secret; the secret itself is kept nowhere.
	Hash []byte `json:"hash,omitempty" yaml:"-"`
}

// TokenSpec is what users say of a token.
type TokenSpec struct {
	PoP     string        `json:"pop,omitempty" yaml:"pop,omitempty"`         // the PoP that it makes; never changes
	Gateway string        `json:"gateway,omitempty" yaml:"gateway,omitempty"` // or the VPN gateway; never changes
	TTL     time.Duration `json:"ttl,omitempty" yaml:"ttl,omitempty"`         // 1 min–30 days; default 24 h; never changes
}

// TokenGiven is what became of a token.
type TokenGiven struct {
	Expires time.Time `json:"expires"`
	Used    time.Time `json:"used,omitzero"`
}

// Bounds of a token's life.
const (
	MinTokenTTL     = time.Minute
	MaxTokenTTL     = 30 * 24 * time.Hour
	DefaultTokenTTL = 24 * time.Hour
)

func (*Token) Kind() Kind { return KindToken }

// Parents is the PoP or the VPN gateway; deleting it deletes its tokens with it.
func (t *Token) Parents() []Parent {
	return append(parent(KindPoP, t.PoP, ""), parent(KindVPNGateway, t.Gateway, "")...)
}

func (t *Token) FillDefaults() { setDefault(&t.TTL, DefaultTokenTTL) }

func (t *Token) Validate() problem.List {
	var j judge
	j.meta(&t.Meta)
	switch {
	case t.PoP == "" && t.Gateway == "":
		j.missing("pop", nameAllowed, "give it, or give gateway")
	case t.PoP != "" && t.Gateway != "":
		j.refuse("gateway", t.Gateway, "a PoP or a VPN gateway, not both", "make a token for each")
	case t.PoP != "":
		j.reference("pop", t.PoP)
	default:
		j.reference("gateway", t.Gateway)
	}
	if t.TTL < MinTokenTTL || t.TTL > MaxTokenTTL {
		j.refuse("ttl", t.TTL, "1 minute to 30 days", "leave it out for 24 h")
	}
	return j.found
}
