package aliyunapi

import (
	"context"
	"fmt"
	"strconv"

	"causeway/internal/control/service"
	"causeway/internal/resource"
)

var bandwidthPackageActions = []action{
	{name: "CreateBandwidthPackage", kind: resource.KindBandwidthPackage, verdict: differs, note: "nothing is ordered or paid for; billing parameters are kept and answered again", writes: true, do: createBandwidthPackage},
	{name: "DescribeBandwidthPackage", kind: resource.KindBandwidthPackage, verdict: supported, do: describeBandwidthPackage},
	{name: "ListBandwidthPackages", kind: resource.KindBandwidthPackage, verdict: supported, do: listBandwidthPackages},
	{name: "ListBandwidthackages", kind: resource.KindBandwidthPackage, verdict: supported, note: "the vendor's other spelling of the same", do: listBandwidthPackages},
	{name: "UpdateBandwidthPackage", kind: resource.KindBandwidthPackage, verdict: supported, writes: true, do: updateBandwidthPackage},
	{name: "DeleteBandwidthPackage", kind: resource.KindBandwidthPackage, verdict: differs, note: "subscription packages can be deleted too", writes: true, do: deleteBandwidthPackage},
	{name: "BandwidthPackageAddAccelerator", kind: resource.KindBandwidthPackage, verdict: supported, writes: true, do: bindBandwidthPackage},
	{name: "BandwidthPackageRemoveAccelerator", kind: resource.KindBandwidthPackage, verdict: supported, writes: true, do: unbindBandwidthPackage},
	{name: "ReplaceBandwidthPackage", kind: resource.KindBandwidthPackage, verdict: supported, writes: true, do: replaceBandwidthPackage},

	{name: "DescribeBandwidthPackageAutoRenewAttribute", kind: resource.KindBandwidthPackage, origin: later, verdict: differs, note: "answers what was set; nothing is renewed, as nothing runs out", do: describePackageRenewal},
	{name: "UpdateBandwidthPackagaAutoRenewAttribute", kind: resource.KindBandwidthPackage, origin: later, verdict: differs, note: "the vendor's spelling; kept and answered again", writes: true, do: updatePackageRenewal},
}

// The vendor's words for types and grades.
var (
	typeWords  = map[resource.PackageType]string{resource.Basic: "Basic", resource.CrossDomain: "CrossDomain"}
	gradeWords = map[resource.PackageGrade]string{resource.GradeBasic: "Basic", resource.GradeEnhanced: "Enhanced", resource.GradeAdvanced: "Advanced"}
)

func gradeWord(g resource.PackageGrade) string { return gradeWords[g] }

// meaning finds which of ours the vendor's word stands for.
func meaning[K comparable](words map[K]string, name, word string) (K, error) {
	for key, w := range words {
		if w == word {
			return key, nil
		}
	}
	var none K
	return none, refuse("InvalidParameter", "%s is %q, which is none of the vendor's words for it", name, clip(word))
}

// mbps reads a bandwidth, whose code for bad ones is its own.
func (c *call) mbps(p *params, name, code string) (int, error) {
	text := p.text(name)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < resource.MinMbps || n > resource.MaxMbps {
		return 0, refuse(code, "%s is %q; allowed: %d to %d Mbit/s", p.at(name).name, clip(text), resource.MinMbps, resource.MaxMbps)
	}
	return n, nil
}

func createBandwidthPackage(c *call) (reply, error) {
	var in resource.BandwidthPackage
	kind, err := c.params.need("Type")
	if err != nil {
		return nil, err
	}
	if in.Type, err = meaning(typeWords, "Type", kind); err != nil {
		return nil, err
	}
	if _, err = c.params.need("Bandwidth"); err != nil {
		return nil, err
	}
	if in.Mbps, err = c.mbps(c.params, "Bandwidth", "BandwidthIllegal.BandwidthPackage"); err != nil {
		return nil, err
	}
	if grade := c.params.text("BandwidthType"); grade != "" && in.Type == resource.Basic {
		if in.Grade, err = meaning(gradeWords, "BandwidthType", grade); err != nil {
			return nil, err
		}
	}
	c.rename(&in.Meta)
	for _, name := range []string{"ChargeType", "BillingType", "Ratio", "CbnGeographicRegionIdA", "CbnGeographicRegionIdB"} {
		remember(&in.Meta, name, c.params.text(name))
	}
	made, err := c.service.CreateBandwidthPackage(c.ctx, c.write(nil), in)
	if err != nil {
		return nil, err
	}
	return reply{"BandwidthPackageId": made.ID, "OrderId": ""}, nil
}

func bandwidthPackageReply(s *scene, p *resource.BandwidthPackage) reply {
	ratio, _ := strconv.Atoi(p.Compat["Ratio"])
	r := reply{
		"BandwidthPackageId": p.ID, "Name": p.Title, "Description": p.Description, "Type": typeWords[p.Type], "BandwidthType": gradeWords[p.Grade], "Bandwidth": p.Mbps,
		"State": "active", "RegionId": "cn-hangzhou", "ResourceGroupId": "", "ChargeType": said(&p.Meta, "ChargeType", "PREPAY"), "BillingType": said(&p.Meta, "BillingType", ""), "Ratio": ratio,
		"CbnGeographicRegionIdA": p.Compat["CbnGeographicRegionIdA"], "CbnGeographicRegionIdB": p.Compat["CbnGeographicRegionIdB"],
		"CreateTime": fmt.Sprint(millis(p)), "ExpiredTime": fmt.Sprint(neverExpires), "Accelerators": []string{}, "Tags": tagList(&p.Meta),
	}
	if p.Type == resource.CrossDomain {
		r["CbnGeographicRegionIdA"], r["CbnGeographicRegionIdB"] = said(&p.Meta, "CbnGeographicRegionIdA", "China-mainland"), said(&p.Meta, "CbnGeographicRegionIdB", "Global")
	}
	if p.Accelerator != "" {
		r["State"], r["Accelerators"] = "binded", []string{idOf(s.World.Accelerators, p.Accelerator)}
	}
	return r
}

func describeBandwidthPackage(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	p, err := c.service.GetBandwidthPackage(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	return bandwidthPackageReply(s, &p), nil
}

func listBandwidthPackages(c *call) (reply, error) {
	all, s, err := listed(c, c.service.ListBandwidthPackages, service.Query{})
	if err != nil {
		return nil, err
	}
	want, state, kind := c.params.text("BandwidthPackageId"), c.params.text("State"), c.params.text("Type")
	var kept []resource.BandwidthPackage
	for _, p := range all {
		if (want == "" || p.ID == want || p.Name == want) && (state == "" || bandwidthPackageReply(s, &p)["State"] == state) && (kind == "" || typeWords[p.Type] == kind) {
			kept = append(kept, p)
		}
	}
	return page(c, "BandwidthPackages", kept, func(p *resource.BandwidthPackage) reply { return bandwidthPackageReply(s, p) })
}

func updateBandwidthPackage(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	mbps, err := c.mbps(c.params, "Bandwidth", "BandwidthIllegal.BandwidthPackage")
	if err != nil {
		return nil, err
	}
	var grade resource.PackageGrade
	if word := c.params.text("BandwidthType"); word != "" {
		if grade, err = meaning(gradeWords, "BandwidthType", word); err != nil {
			return nil, err
		}
	}
	p, err := c.service.UpdateBandwidthPackage(c.ctx, c.write(c.unlockedPackage(id, "")), id, func(p *resource.BandwidthPackage) error {
		c.rename(&p.Meta)
		if grade != "" && p.Type == resource.Basic {
			if grade != p.Grade && mbps != 0 && mbps < p.Mbps {
				return refuse("UpgradeError.BandwidthPackage", "the bandwidth would be lowered and the type raised at once; allowed: one after the other")
			}
			p.Grade = grade
		}
		if mbps != 0 {
			p.Mbps = mbps
		}
		return nil
	})
	c.touched(p.Accelerator)
	return reply{"BandwidthPackage": p.ID, "Name": p.Title, "Description": p.Description}, err
}

func deleteBandwidthPackage(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	gone, err := c.service.DeleteBandwidthPackage(c.ctx, c.write(nil), id)
	return reply{"BandwidthPackageId": gone.ID}, err
}

// unlockedPackage asks for the lock of the accelerator that a package is bound
// to, and of another one.
func (c *call) unlockedPackage(id, accelerator string) func(context.Context) error {
	return func(ctx context.Context) error {
		if accelerator != "" {
			if err := c.unlocked(accelerator, nil)(ctx); err != nil {
				return err
			}
		}
		s, err := c.API.scene(ctx)
		if err != nil {
			return err
		}
		if p := find(s.World.Packages, id); p != nil && p.Accelerator != "" {
			return c.unlocked(p.Accelerator, nil)(ctx)
		}
		return nil
	}
}

func bindBandwidthPackage(c *call) (reply, error) {
	return c.binding(func(id, accelerator string) (resource.BandwidthPackage, error) {
		return c.service.BindBandwidthPackage(c.ctx, c.write(c.unlockedPackage(id, accelerator)), id, accelerator)
	})
}

func unbindBandwidthPackage(c *call) (reply, error) {
	return c.binding(func(id, accelerator string) (resource.BandwidthPackage, error) {
		guard := func(ctx context.Context) error {
			s, err := c.API.scene(ctx)
			if err != nil {
				return err
			}
			a, p := find(s.World.Accelerators, accelerator), find(s.World.Packages, id)
			if a == nil {
				_, err := c.service.GetAccelerator(ctx, c.read(), accelerator)
				return err
			}
			if p != nil && p.Accelerator != a.Name {
				return refuse("StateError.BandwidthPackage", "bandwidth package %s is not bound to accelerator %s", p.ID, a.ID)
			}
			return c.unlocked(accelerator, nil)(ctx)
		}
		return c.service.UnbindBandwidthPackage(c.ctx, c.write(guard), id)
	})
}

func (c *call) binding(do func(id, accelerator string) (resource.BandwidthPackage, error)) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	accelerator, err := c.params.need("AcceleratorId")
	if err != nil {
		return nil, err
	}
	p, err := do(id, accelerator)
	if err != nil {
		return nil, err
	}
	c.touched(accelerator)
	s, err := c.scene()
	if err != nil {
		return nil, err
	}
	return reply{"BandwidthPackageId": p.ID, "Accelerators": bandwidthPackageReply(s, &p)["Accelerators"]}, nil
}

func replaceBandwidthPackage(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	target, err := c.params.need("TargetBandwidthPackageId")
	if err != nil {
		return nil, err
	}
	guard := func(ctx context.Context) error {
		s, err := c.API.scene(ctx)
		if err != nil {
			return err
		}
		if p := find(s.World.Packages, target); p != nil && p.Accelerator != "" {
			return refuse("StateError.BandwidthPackage", "bandwidth package %s is bound; allowed: one whose state is active", p.ID)
		}
		return c.unlockedPackage(id, "")(ctx)
	}
	p, err := c.service.ReplaceBandwidthPackage(c.ctx, c.write(guard), id, target)
	c.touched(p.Accelerator)
	return reply{}, err
}

// renewal is kept for clients that read back what they said.
func (c *call) renew(m *resource.Meta) error {
	for _, name := range []string{"RenewalStatus", "AutoRenew", "AutoRenewDuration"} {
		remember(m, name, c.params.text(name))
	}
	if c.params.sent("Name") {
		m.Title = c.params.text("Name")
	}
	return nil
}

func renewalReply(m *resource.Meta) reply {
	duration, _ := strconv.Atoi(m.Compat["AutoRenewDuration"])
	return reply{"RenewalStatus": said(m, "RenewalStatus", "Normal"), "AutoRenew": said(m, "AutoRenew", "false") == "true", "AutoRenewDuration": duration}
}

func describePackageRenewal(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	p, err := c.service.GetBandwidthPackage(c.ctx, c.read(), id)
	if err != nil {
		return nil, err
	}
	r := renewalReply(&p.Meta)
	r["BandwidthPackageId"] = p.ID
	return r, nil
}

func updatePackageRenewal(c *call) (reply, error) {
	id, err := c.params.need("BandwidthPackageId")
	if err != nil {
		return nil, err
	}
	p, err := c.service.UpdateBandwidthPackage(c.ctx, c.write(nil), id, func(p *resource.BandwidthPackage) error { return c.renew(&p.Meta) })
	return reply{"BandwidthPackageId": p.ID}, err
}
