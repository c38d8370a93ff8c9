package resource

import "causeway/internal/problem"

// Region is where PoPs stand. Its name says where: kr-seoul, cn-shanghai.
type Region struct {
	Meta       `yaml:",inline"`
	RegionSpec `yaml:",inline"`
	Status     Status `json:"status" yaml:"-"` // active, always
}

// RegionSpec is what users say of a region.
type RegionSpec struct {
	// Area is the border area: traffic from one to another is cross-border and
	// needs a CrossDomain package. Any name; cn and intl are usual; default: cn
	// for names that begin with "cn-", otherwise intl. It cannot change while
	// something stands in the region.
	Area string `json:"area,omitempty" yaml:"area,omitempty"`
}

const (
	AreaMainland      = "cn"
	AreaInternational = "intl"
)

func (*Region) Kind() Kind        { return KindRegion }
func (*Region) Parents() []Parent { return nil }

func (r *Region) FillDefaults() {
	if r.Area == "" {
		r.Area = AreaInternational
		if len(r.Name) > 3 && r.Name[:3] == "cn-" {
			r.Area = AreaMainland
		}
	}
}

func (r *Region) Validate() problem.List {
	var j judge
	j.meta(&r.Meta)
	j.name("area", r.Area)
	return j.found
}
