package resource

import "causeway/internal/problem"

// Accelerator is the instance that IP sets, listeners and endpoint groups hang on.
type Accelerator struct {
	Meta            `yaml:",inline"`
	AcceleratorSpec `yaml:",inline"`
	Status          AcceleratorStatus `json:"status" yaml:"-"`
}

// AcceleratorSpec is what users say of an accelerator.
type AcceleratorSpec struct {
	Spec             string `json:"spec,omitempty" yaml:"spec,omitempty"`                           // a name from InstanceSpecs; default custom
	SourceConsistent *bool  `json:"source_consistent,omitempty" yaml:"source_consistent,omitempty"` // its listeners' flows leave from one egress IP; default true. They always do; false is only remembered
	Enabled          *bool  `json:"enabled,omitempty" yaml:"enabled,omitempty"`                     // false takes its listeners off the PoPs and keeps everything given out; default true
}

// AcceleratorStatus is how an accelerator fares: active, configuring, refused,
// blocked, incomplete or disabled, the worst of what hangs below it.
type AcceleratorStatus struct {
	Status
	Basic       string `json:"basic_package,omitempty"`        // name of the Basic package bound
	CrossDomain string `json:"cross_domain_package,omitempty"` // name of the CrossDomain package bound
}

func (*Accelerator) Kind() Kind        { return KindAccelerator }
func (*Accelerator) Parents() []Parent { return nil }

// IsEnabled reports whether a carries traffic.
func (a *Accelerator) IsEnabled() bool { return a.Enabled == nil || *a.Enabled }

// IsSourceConsistent reports whether a's listeners leave from one egress IP
// unless they say otherwise.
func (a *Accelerator) IsSourceConsistent() bool {
	return a.SourceConsistent == nil || *a.SourceConsistent
}

// Size is a's entry in InstanceSpecs.
func (a *Accelerator) Size() InstanceSpec {
	size, _ := LookupSpec(a.Spec)
	return size
}

func (a *Accelerator) FillDefaults() {
	if a.Spec == "" {
		a.Spec = Custom
	}
	if size, ok := LookupSpec(a.Spec); ok {
		a.Spec = size.Name
	}
	a.SourceConsistent = defaultTo(a.SourceConsistent, true)
	a.Enabled = defaultTo(a.Enabled, true)
}

func (a *Accelerator) Validate() problem.List {
	var j judge
	j.meta(&a.Meta)
	if _, ok := LookupSpec(a.Spec); !ok {
		names := make([]string, len(InstanceSpecs))
		for i, s := range InstanceSpecs {
			names[i] = s.Name
		}
		j.choice("spec", a.Spec, names...)
	}
	return j.found
}
