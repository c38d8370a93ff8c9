package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	v1 "causeway/api/gen/causeway/v1"
	"causeway/internal/apiclient"
	"causeway/internal/apiform"
	"causeway/internal/problem"
	"causeway/internal/resource"
	"causeway/internal/strictyaml"
)

// world is a file that says what shall be: lists of resources by kind, in any
// order. Access keys and tokens have secrets and cannot stand in files.
type world struct {
	Regions           []resource.Region           `json:"regions,omitempty" yaml:"regions,omitempty"`
	PoPs              []resource.PoP              `json:"pops,omitempty" yaml:"pops,omitempty"`
	Accelerators      []resource.Accelerator      `json:"accelerators,omitempty" yaml:"accelerators,omitempty"`
	BandwidthPackages []resource.BandwidthPackage `json:"bandwidth_packages,omitempty" yaml:"bandwidth_packages,omitempty"`
	IPSets            []resource.IPSet            `json:"ip_sets,omitempty" yaml:"ip_sets,omitempty"`
	Listeners         []resource.Listener         `json:"listeners,omitempty" yaml:"listeners,omitempty"`
	EgressIPs         []resource.EgressIP         `json:"egress_ips,omitempty" yaml:"egress_ips,omitempty"`
	EndpointGroups    []resource.EndpointGroup    `json:"endpoint_groups,omitempty" yaml:"endpoint_groups,omitempty"`
	VPNGateways       []resource.VPNGateway       `json:"vpn_gateways,omitempty" yaml:"vpn_gateways,omitempty"`
	CustomerGateways  []resource.CustomerGateway  `json:"customer_gateways,omitempty" yaml:"customer_gateways,omitempty"`
	IPsecConnections  []resource.IPsecConnection  `json:"ipsec_connections,omitempty" yaml:"ipsec_connections,omitempty"`
	VPNRoutes         []resource.VPNRoute         `json:"vpn_routes,omitempty" yaml:"vpn_routes,omitempty"`
}

// placed is a resource and where it stands in the file.
type placed struct {
	resource.Object
	path string // listeners[2]
}

// objects are all resources of w, in the order of kinds.
func (w *world) objects() []placed {
	var list []placed
	each(&list, "regions", w.Regions)
	each(&list, "pops", w.PoPs)
	each(&list, "accelerators", w.Accelerators)
	each(&list, "bandwidth_packages", w.BandwidthPackages)
	each(&list, "ip_sets", w.IPSets)
	each(&list, "listeners", w.Listeners)
	each(&list, "egress_ips", w.EgressIPs)
	each(&list, "endpoint_groups", w.EndpointGroups)
	each(&list, "vpn_gateways", w.VPNGateways)
	each(&list, "customer_gateways", w.CustomerGateways)
	each(&list, "ipsec_connections", w.IPsecConnections)
	each(&list, "vpn_routes", w.VPNRoutes)
	return list
}

func each[T any, P interface {
	*T
	resource.Object
}](list *[]placed, name string, resources []T) {
	for i := range resources {
		*list = append(*list, placed{P(&resources[i]), fmt.Sprintf("%s[%d]", name, i)})
	}
}

// put adds a resource to w.
func (w *world) put(o resource.Object) {
	switch o := o.(type) {
	case *resource.Region:
		w.Regions = append(w.Regions, *o)
	case *resource.PoP:
		w.PoPs = append(w.PoPs, *o)
	case *resource.Accelerator:
		w.Accelerators = append(w.Accelerators, *o)
	case *resource.BandwidthPackage:
		w.BandwidthPackages = append(w.BandwidthPackages, *o)
	case *resource.IPSet:
		w.IPSets = append(w.IPSets, *o)
	case *resource.Listener:
		w.Listeners = append(w.Listeners, *o)
	case *resource.EgressIP:
		w.EgressIPs = append(w.EgressIPs, *o)
	case *resource.EndpointGroup:
		w.EndpointGroups = append(w.EndpointGroups, *o)
	case *resource.VPNGateway:
		w.VPNGateways = append(w.VPNGateways, *o)
	case *resource.CustomerGateway:
		w.CustomerGateways = append(w.CustomerGateways, *o)
	case *resource.IPsecConnection:
		w.IPsecConnections = append(w.IPsecConnections, *o)
	case *resource.VPNRoute:
		w.VPNRoutes = append(w.VPNRoutes, *o)
	}
}

// file is one that was read.
type file struct {
	name    string
	data    []byte
	objects []placed
}

// readFile reads and judges a file, or standard input when its name is "-". What
// is wrong with it comes back with line and column.
func readFile(name string, stdin io.Reader) (f file, err error) {
	f.name = name
	if name == "-" {
		f.name = "standard input"
		f.data, err = io.ReadAll(io.LimitReader(stdin, strictyaml.MaxSize+1))
	} else {
		f.data, err = os.ReadFile(name)
	}
	if err != nil {
		return f, fmt.Errorf("read what shall be: %w", err)
	}
	var w world
	if err := strictyaml.Decode(f.name, f.data, &w); err != nil {
		if hidden := strictyaml.Decode(f.name, hideSecrets(f.data), &world{}); hidden != nil {
			err = hidden // the same, and its excerpt shows no secret
		}
		return f, err
	}
	f.objects = w.objects()
	return f, f.located(f.judge())
}

// judge is what can be said of the resources without a controller.
func (f file) judge() problem.List {
	var found problem.List
	seen := map[resource.Ref]string{}
	for _, o := range f.objects {
		judged := apiform.New(o.Kind()) // a copy, whose defaults are not those of what is sent
		if apiform.Decode(apiform.Encode(o.Object), judged) == nil {
			judged.FillDefaults()
			for _, p := range judged.Validate() {
				found = append(found, p.Under(o.path))
			}
		}
		ref := resource.RefOf(o.Object)
		if first, twice := seen[ref]; twice && ref.Name != "" {
			found = append(found, problem.New(o.path+".name", ref.Name, "each "+ref.Kind.Noun()+" once").WithFix("%s is the same; remove one", first))
		}
		seen[ref] = o.path
	}
	return found
}

func (f file) located(found problem.List) error {
	return strictyaml.Locate(f.name, hideSecrets(f.data), found)
}

// secretValue is a secret's field in a file, and its value on the same line.
var secretValue = regexp.MustCompile(`(\b(?:psk|private_key|auth_key)["']?\s*:\s*)("[^"\n]*"|'[^'\n]*'|[^\s,}\]|>]+)`)

// hideSecrets is data with letters in the place of secrets, as many as there
// were characters, so that everything stands where it stood.
func hideSecrets(data []byte) []byte {
	return secretValue.ReplaceAllFunc(data, func(field []byte) []byte {
		value := len(secretValue.FindSubmatch(field)[1])
		return append(append([]byte(nil), field[:value]...), bytes.Repeat([]byte("x"), utf8.RuneCount(field[value:]))...)
	})
}

// refused is a controller's refusal of what the file says, put where it stands
// in the file.
func (f file) refused(err error) error {
	var e *resource.Error
	if !errors.As(err, &e) {
		return err
	}
	var found problem.List
	for _, one := range append([]resource.Error{*e}, e.More...) {
		path, ok := f.pathOf(one)
		if !ok {
			return err
		}
		p := problem.Problem{Path: path, Found: one.Found, Allowed: one.Allowed, Fix: one.Message}
		if one.Fix != "" {
			p.Fix += "; " + one.Fix
		}
		if p.Found == "" { // it is about the whole resource
			p.Found, p.Fix = one.Message, one.Fix
		}
		found = append(found, p)
	}
	code := codeOfClass(e.Code)
	if code == Usage { // of a command; a file that is wrong ends it with Failed
		code = Failed
	}
	return &Error{What: "the controller refuses " + f.name, Err: f.located(found), Code: code}
}

var objectIndex = regexp.MustCompile(`^objects\[(\d+)\]\.?`)

// pathOf turns objects[2].ports into listeners[0].ports.
func (f file) pathOf(e resource.Error) (string, bool) {
	if m := objectIndex.FindStringSubmatch(e.Field); m != nil {
		i, _ := strconv.Atoi(m[1])
		if i < len(f.objects) {
			return strings.TrimSuffix(f.objects[i].path+"."+e.Field[len(m[0]):], "."), true
		}
	}
	for _, o := range f.objects {
		if resource.RefOf(o.Object) == e.Subject {
			return strings.TrimSuffix(o.path+"."+e.Field, "."), true
		}
	}
	return "", false
}

// FileCommands are apply, plan, export, validate, status and explain.
func FileCommands() []*cobra.Command {
	return []*cobra.Command{applyCommand(), planCommand(), exportCommand(), validateCommand(), statusCommand(), explainCommand(), auditCommand()}
}

func fileFlag(c *cobra.Command) *string {
	name := c.Flags().StringP("file", "f", "", "YAML file, or - for standard input (must be given)")
	_ = c.MarkFlagFilename("file", "yaml", "yml", "json")
	_ = c.MarkFlagRequired("file")
	return name
}

func applyCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "apply", Short: "Make everything be as a file says", Args: exactly(0, "no arguments"),
		Long: `Creates what the file has and the controller has not, and updates what differs,
all in one transaction or not at all. What a resource leaves out takes its default.
Nothing is deleted, except what --delete names.`,
		Example: "  causeway apply -f office.yaml\n  causeway export | causeway apply -f -",
	}
	name, remove := fileFlag(c), deleteFlag(c)
	dryRun := c.Flags().Bool("dry-run", false, "as 'causeway plan'")
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error { return r.apply(c, *name, *remove, output, *dryRun, false) }
	return c
}

func planCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "plan", Short: "Say what apply would change", Args: exactly(0, "no arguments"),
		Example: "  causeway plan -f office.yaml\n  causeway plan -f office.yaml --exit-code || causeway apply -f office.yaml",
	}
	name, remove := fileFlag(c), deleteFlag(c)
	exitCode := c.Flags().Bool("exit-code", false, "end with 1 when something would change")
	output := OutputFlag(c, "table", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.apply(c, *name, *remove, output, true, *exitCode)
	}
	return c
}

func deleteFlag(c *cobra.Command) *[]string {
	return c.Flags().StringArray("delete", nil, "KIND/NAME that shall be gone, such as listener/ipsec; once for each")
}

// apply sends a file and tells what came, or would come, of it.
func (r *remote) apply(c *cobra.Command, name string, remove []string, output *Format, dryRun, exitCode bool) error {
	f, err := readFile(name, c.InOrStdin())
	if err != nil {
		return wrongFile(err)
	}
	request := &v1.ApplyRequest{RequestId: apiclient.NewRequestID(), DryRun: dryRun}
	for _, o := range f.objects {
		request.Objects = append(request.Objects, apiform.EncodeObject(o.Object))
	}
	for _, text := range remove {
		kind, name, ok := strings.Cut(text, "/")
		if !ok || apiform.New(resource.Kind(kind)) == nil {
			return Misuse("--delete: found %q; allowed: KIND/NAME, such as listener/ipsec", text)
		}
		request.Delete = append(request.Delete, &v1.Ref{Kind: kind, Name: name})
	}
	return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
		answer, err := client.Call(ctx, "ControlService", "Apply", request)
		if err != nil {
			return f.refused(err)
		}
		changes := answer.(*v1.ApplyResponse).GetChanges()
		changed := 0
		for _, change := range changes {
			if change.GetAction() != "none" {
				changed++
			}
		}
		for _, m := range changes {
			if o, err := apiform.DecodeObject(m.GetObject()); m.GetObject() != nil && err == nil && m.GetAction() != "none" {
				warn(c.ErrOrStderr(), o)
			}
		}
		if output.Is("json") {
			err = printTree(c.OutOrStdout(), changesOf(changes), false)
		} else {
			err = tellChanges(c.OutOrStdout(), changes, changed, dryRun)
		}
		if err == nil && exitCode && changed > 0 {
			return &Error{Err: fmt.Errorf("%d of %d resources would change", changed, len(changes)), Code: Failed}
		}
		return err
	})
}

// wrongFile is the error for a file that is wrong.
func wrongFile(err error) error {
	var content *strictyaml.Error
	if errors.As(err, &content) {
		return &Error{What: content.File + " is refused", Err: err, Code: Failed, Fix: "correct the lines above; docs/reference/resources.md explains every field"}
	}
	return err
}

// change is one line of apply -o json.
type change struct {
	Action string        `json:"action"`
	Kind   string        `json:"kind"`
	Name   string        `json:"name"`
	Fields []fieldChange `json:"fields,omitempty"`
}

type fieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

func changesOf(list []*v1.AppliedChange) []change {
	changes := []change{}
	for _, m := range list {
		one := change{Action: m.GetAction(), Kind: m.GetRef().GetKind(), Name: m.GetRef().GetName()}
		for _, f := range m.GetFields() {
			one.Fields = append(one.Fields, fieldChange{f.GetField(), f.GetOld(), f.GetNew()})
		}
		changes = append(changes, one)
	}
	return changes
}

func tellChanges(w io.Writer, changes []*v1.AppliedChange, changed int, dryRun bool) error {
	signs := map[string]string{"create": "+", "update": "~", "delete": "-"}
	for _, m := range changes {
		sign, ok := signs[m.GetAction()]
		if !ok {
			continue
		}
		fmt.Fprintf(w, "%s %s\n", sign, apiform.DecodeRef(m.GetRef()))
		for _, f := range m.GetFields() {
			fmt.Fprintf(w, "    %s: %s → %s\n", f.GetField(), orNothing(f.GetOld()), orNothing(f.GetNew()))
		}
	}
	verb := "changed"
	if dryRun {
		verb = "would change"
	}
	_, err := fmt.Fprintf(w, "%d of %d resources %s\n", changed, len(changes), verb)
	return err
}

func orNothing(s string) string {
	if s == "" {
		return "(nothing)"
	}
	return s
}

func exportCommand() *cobra.Command {
	r := &remote{}
	c := &cobra.Command{
		Use: "export", Short: "Print everything as a file that apply takes", Args: exactly(0, "no arguments"),
		Long:    "Prints what users said, without what was given out: as a file for apply, or to keep\nunder version control. Access keys and tokens are left out.",
		Example: "  causeway export > causeway.yaml",
	}
	output := OutputFlag(c, "yaml", "json")
	r.flags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return r.with(c, func(ctx context.Context, client *apiclient.Client) error {
			answer, err := client.Call(ctx, "ControlService", "Export", &v1.ExportRequest{})
			if err != nil {
				return err
			}
			var w world
			for _, m := range answer.(*v1.ExportResponse).GetObjects() {
				o, err := apiform.DecodeObject(withoutOutput(m))
				if err != nil {
					return err
				}
				w.put(o)
			}
			return printSpec(c.OutOrStdout(), w, output.Is("yaml"))
		})
	}
	return c
}

// withoutOutput is a copy of m without what only the controller says.
func withoutOutput(m *v1.Object) *v1.Object {
	m = proto.CloneOf(m)
	r := m.ProtoReflect()
	inner := r.Get(r.WhichOneof(r.Descriptor().Oneofs().Get(0))).Message()
	for _, name := range []string{"id", "revision", "created", "updated", "given", "status"} {
		if fd := inner.Descriptor().Fields().ByName(nameOf(name)); fd != nil {
			inner.Clear(fd)
		}
	}
	return m
}

func validateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "validate", Short: "Judge a file without a controller", Args: exactly(0, "no arguments"),
		Long:    "Says everything that is wrong with a file by itself, with line and column. What depends\non the controller (whether a region exists, whether an address is free), plan says.",
		Example: "  causeway validate -f office.yaml",
	}
	name := fileFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		f, err := readFile(*name, c.InOrStdin())
		if err != nil {
			return wrongFile(err)
		}
		f.warn(c.ErrOrStderr())
		_, err = fmt.Fprintf(c.OutOrStdout(), "%s is fine: %d resources\n", f.name, len(f.objects))
		return err
	}
	return c
}
