package resource

import "causeway/internal/problem"

// BandwidthPackage is Mbit/s that can be bound to one accelerator.
type BandwidthPackage struct {
	Meta                 `yaml:",inline"`
	BandwidthPackageSpec `yaml:",inline"`
	Status               Status `json:"status" yaml:"-"` // bound or unbound
}

// PackageType says what a package's bandwidth is for.
type PackageType string

const (
	Basic       PackageType = "basic"        // all that clients send and receive
	CrossDomain PackageType = "cross-domain" // what of it crosses a border between areas
)

// PackageGrade is the grade of a Basic package.
type PackageGrade string

const (
	GradeBasic    PackageGrade = "basic"
	GradeEnhanced PackageGrade = "enhanced"
	GradeAdvanced PackageGrade = "advanced"
)

// Bounds of a package's and an IP set's bandwidth, Mbit/s. An accelerator's
// size bounds it further.
const MinMbps, MaxMbps = 2, 100_000

// BandwidthPackageSpec is what users say of a package.
type BandwidthPackageSpec struct {
	Type        PackageType  `json:"type" yaml:"type"`                                   // never changes
	Grade       PackageGrade `json:"kind,omitempty" yaml:"kind,omitempty"`               // of a Basic package only; default enhanced; may change from basic to enhanced
	Mbps        int          `json:"mbps" yaml:"mbps"`                                   // 2–100,000
	Accelerator string       `json:"accelerator,omitempty" yaml:"accelerator,omitempty"` // whom it is bound to; changed by bind, unbind and replace
}

func (*BandwidthPackage) Kind() Kind { return KindBandwidthPackage }

func (b *BandwidthPackage) Parents() []Parent {
	return parent(KindAccelerator, b.Accelerator, string(b.Type))
}

func (b *BandwidthPackage) FillDefaults() {
	if b.Type == Basic && b.Grade == "" {
		b.Grade = GradeEnhanced
	}
}

func (b *BandwidthPackage) Validate() problem.List {
	var j judge
	j.meta(&b.Meta)
	j.choice("type", string(b.Type), string(Basic), string(CrossDomain))
	switch b.Type {
	case Basic:
		j.choice("kind", string(b.Grade), string(GradeBasic), string(GradeEnhanced), string(GradeAdvanced))
	case CrossDomain:
		if b.Grade != "" {
			j.refuse("kind", b.Grade, "nothing, as only Basic packages have kinds", "leave kind out, or make the type basic")
		}
	}
	j.between("mbps", b.Mbps, MinMbps, MaxMbps)
	return j.found
}
