package aliyun

import (
	"fmt"
	"testing"

	client "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/utils"
	"github.com/alibabacloud-go/tea/dara"
	"github.com/alibabacloud-go/tea/tea"
)

// acs3 is the vendor's second SDK's transport: signed headers.
type acs3 struct{ *client.Client }

func newACS3(t *testing.T, id, secret string) acs3 {
	t.Helper()
	c, err := client.NewClient(&openapi.Config{AccessKeyId: tea.String(id), AccessKeySecret: tea.String(secret), Endpoint: tea.String(endpoint), Protocol: tea.String("HTTP"), RegionId: tea.String("cn-hangzhou")})
	if err != nil {
		t.Fatal(err)
	}
	return acs3{c}
}

// call puts parameters into the query, as that SDK's products do, or into the form.
func (c acs3) call(action string, parameters map[string]any, form bool) (map[string]any, error) {
	params := &openapi.Params{Action: tea.String(action), Version: tea.String("2019-11-20"), Protocol: tea.String("HTTP"), Pathname: tea.String("/"), Method: tea.String("POST"),
		AuthType: tea.String("AK"), Style: tea.String("RPC"), ReqBodyType: tea.String("formData"), BodyType: tea.String("json")}
	request := &openapi.OpenApiRequest{}
	if form {
		request.Body = parameters
	} else {
		request.Query = openapi.Query(parameters)
	}
	answer, err := c.CallApi(params, request, &dara.RuntimeOptions{})
	if err != nil {
		return nil, err
	}
	body, _ := answer["body"].(map[string]any)
	return body, nil
}

// codeOf is the code and the status of a refusal, as that SDK tells them.
func codeOf(err error) (code string, status int) {
	type refusal interface {
		GetCode() *string
		GetStatusCode() *int
	}
	if e, ok := err.(refusal); ok {
		return tea.StringValue(e.GetCode()), tea.IntValue(e.GetStatusCode())
	}
	if e, ok := err.(*tea.SDKError); ok {
		return tea.StringValue(e.Code), tea.IntValue(e.StatusCode)
	}
	return "", 0
}

// transport is a way of calling that knows no types: the walk-through is the
// same over each.
type transport func(action string, parameters map[string]any) (map[string]any, error)

func TestTheWalkThroughWithTheSecondSDK(t *testing.T) {
	c := newACS3(t, access.id, access.secret)
	for name, form := range map[string]bool{"query": false, "form": true} {
		t.Run(name, func(t *testing.T) {
			walkOver(t, func(action string, parameters map[string]any) (map[string]any, error) {
				return c.call(action, parameters, form)
			})
		})
	}
}

func TestTheSecondSDKUnderstandsRefusals(t *testing.T) {
	_, err := newACS3(t, access.id, "not-the-secret").call("DescribeRegions", nil, false)
	if code, status := codeOf(err); code != "SignatureDoesNotMatch" || status != 400 {
		t.Errorf("a wrong secret: %v", err)
	}
	_, err = newACS3(t, access.id, access.secret).call("DescribeAccelerator", map[string]any{"AcceleratorId": "ga-nothing", "Psk": canary}, true)
	if code, status := codeOf(err); code != "NotExist.Accelerator" || status != 404 {
		t.Errorf("something that is not there: %v", err)
	}
}

// walkOver is the Global Accelerator part of the tutorial, with loops as the
// Terraform provider has them.
func walkOver(t *testing.T, call transport) {
	do := func(action string, parameters map[string]any) (answer map[string]any) {
		t.Helper()
		if err := await(func() (err error) {
			answer, err = call(action, parameters)
			switch code, _ := codeOf(err); code {
			case "StateError.Accelerator", "NotActive.Listener", "StateError.EndPointGroup", "StateError.IpSet", "StateError.BandwidthPackage":
				return err
			}
			if err != nil {
				t.Fatalf("%s %v: %v", action, parameters, err)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	state := func(want, action string, parameters map[string]any) {
		t.Helper()
		becomes(t, want, func() (string, error) {
			answer, err := call(action, parameters)
			return fmt.Sprint(answer["State"]), err
		})
	}
	instance := do("CreateAccelerator", map[string]any{"RegionId": "cn-hangzhou", "AutoPay": true, "Spec": "1", "PricingCycle": "Month", "Duration": 1, "InstanceChargeType": "PREPAY", "ClientToken": "TF-CreateAccelerator-1-" + t.Name()})["AcceleratorId"]
	state("active", "DescribeAccelerator", map[string]any{"AcceleratorId": instance})
	do("UpdateAccelerator", map[string]any{"AcceleratorId": instance, "Name": "서울 & ~*+/=", "Description": "a walk"})
	packages := map[string]any{}
	for kind, grade := range map[string]string{"Basic": "Enhanced", "CrossDomain": ""} {
		parameters := map[string]any{"Type": kind, "Bandwidth": 10, "AutoPay": true}
		if grade != "" {
			parameters["BandwidthType"] = grade
		}
		packages[kind] = do("CreateBandwidthPackage", parameters)["BandwidthPackageId"]
		do("BandwidthPackageAddAccelerator", map[string]any{"BandwidthPackageId": packages[kind], "AcceleratorId": instance})
		state("binded", "DescribeBandwidthPackage", map[string]any{"BandwidthPackageId": packages[kind]})
	}
	sets := do("CreateIpSets", map[string]any{"AcceleratorId": instance, "AccelerateRegion": []map[string]any{{"AccelerateRegionId": "cn-shanghai", "Bandwidth": 10, "IpVersion": "IPv4"}}})
	set := sets["IpSets"].([]any)[0].(map[string]any)["IpSetId"]
	state("active", "DescribeIpSet", map[string]any{"IpSetId": set})
	listener := do("CreateListener", map[string]any{"AcceleratorId": instance, "Protocol": "udp", "ClientAffinity": "NONE", "ProxyProtocol": false, "IdleTimeout": 20,
		"PortRanges": []map[string]any{{"FromPort": 500, "ToPort": 500}, {"FromPort": 4500, "ToPort": 4500}}})["ListenerId"]
	state("active", "DescribeListener", map[string]any{"ListenerId": listener})
	if answer := do("DescribeListener", map[string]any{"ListenerId": listener}); answer["Type"] != nil || answer["ClientAffinity"] != "NONE" || fmt.Sprint(answer["IdleTimeout"]) != "20" {
		t.Errorf("the listener reads %v", answer)
	}
	group := do("CreateEndpointGroup", map[string]any{"AcceleratorId": instance, "ListenerId": listener, "EndpointGroupRegion": "kr-seoul",
		"EndpointConfigurations": []map[string]any{{"Endpoint": "192.0.2.7", "Type": "PublicIp", "Weight": 20, "EnableProxyProtocol": false}}})["EndpointGroupId"]
	state("active", "DescribeEndpointGroup", map[string]any{"EndpointGroupId": group})
	state("active", "DescribeAccelerator", map[string]any{"AcceleratorId": instance})
	acl := do("CreateAcl", map[string]any{"AddressIPVersion": "IPv4", "AclName": "office", "AclEntries": []map[string]any{{"Entry": "192.0.2.0/24", "EntryDescription": "office"}}})["AclId"]
	do("AssociateAclsWithListener", map[string]any{"ListenerId": listener, "AclIds": []string{fmt.Sprint(acl)}, "AclType": "white"})
	if err := await(func() error {
		related, _ := do("DescribeListener", map[string]any{"ListenerId": listener})["RelatedAcls"].([]any)
		if len(related) != 1 || related[0].(map[string]any)["Status"] != "Associated" {
			return fmt.Errorf("the listener's ACLs are %v", related)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	do("TagResources", map[string]any{"ResourceType": "accelerator", "ResourceId": []string{fmt.Sprint(instance)}, "Tag": []map[string]any{{"Key": "For", "Value": "vpn"}}})
	tags, _ := do("ListTagResources", map[string]any{"ResourceType": "accelerator", "ResourceId": []string{fmt.Sprint(instance)}})["TagResources"].(map[string]any)
	if list, _ := tags["TagResource"].([]any); len(list) != 1 || list[0].(map[string]any)["TagValue"] != "vpn" {
		t.Errorf("the tags are %v", tags)
	}
	do("DissociateAclsFromListener", map[string]any{"ListenerId": listener, "AclIds": []string{fmt.Sprint(acl)}})
	do("DeleteAcl", map[string]any{"AclId": acl})
	do("DeleteEndpointGroup", map[string]any{"AcceleratorId": instance, "EndpointGroupId": group})
	do("DeleteListener", map[string]any{"AcceleratorId": instance, "ListenerId": listener})
	do("DeleteIpSets", map[string]any{"IpSetIds": []string{fmt.Sprint(set)}})
	for _, kind := range []string{"CrossDomain", "Basic"} {
		do("BandwidthPackageRemoveAccelerator", map[string]any{"BandwidthPackageId": packages[kind], "AcceleratorId": instance})
		do("DeleteBandwidthPackage", map[string]any{"BandwidthPackageId": packages[kind]})
	}
	do("DeleteAccelerator", map[string]any{"AcceleratorId": instance})
	_, err := call("DescribeAccelerator", map[string]any{"AcceleratorId": instance})
	if code, status := codeOf(err); code != "NotExist.Accelerator" || status != 404 {
		t.Errorf("what was deleted: %v", err)
	}
}
