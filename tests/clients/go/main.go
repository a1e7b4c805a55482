// Drives a management node through ZStack's public Go SDK, unmodified: every step prints what the SDK made of the answer,
// and the first thing that is not as it should be ends the run with status 1.
//
//	go run . HOST PORT account NAME PASSWORD
//	go run . HOST PORT access-key ID SECRET
//
// With `calls` as a last argument, it makes the calls that it reads from the standard input (calls.go) instead.
package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/client"
	zserrors "github.com/terraform-zstack-modules/zstack-sdk-go/pkg/errors"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/param"
	"github.com/terraform-zstack-modules/zstack-sdk-go/pkg/view"
)

const (
	hostname = "172.24.189.211"
	missing  = "0123456789ab4def8123456789abcdef"
)

func main() {
	asked := len(os.Args) == 7 && os.Args[6] == "calls"
	if len(os.Args) != 6 && !asked {
		fail("usage", errors.New("HOST PORT account|access-key NAME SECRET [calls]"))
	}
	port, err := strconv.Atoi(os.Args[2])
	check("port", err)
	config := client.NewZSConfig(os.Args[1], port, "zstack").RetryInterval(1).RetryTimes(20)
	byAccount := os.Args[3] == "account"
	if byAccount {
		config.LoginAccount(os.Args[4], os.Args[5])
	} else {
		config.AccessKey(os.Args[4], os.Args[5])
	}
	node := client.NewZSClient(config)
	if byAccount {
		logIn(node)
	}
	if asked {
		answerCalls(node)
		return
	}
	version(node)
	zone := zones(node)
	queries(node)
	storage := add(node)
	change(node, storage, zone)
	remove(node, storage)
	if byAccount {
		logOut(node)
	}
}

func logIn(node *client.ZSClient) {
	session, err := node.Login()
	check("login", err)
	expect("login", session.AccountUuid == "36c27e8ff05c4780bf6d2fa65700f22e", session.AccountUuid)
	expect("login", !session.ExpiredDate.IsZero(), "no date of expiry")
	valid, err := node.ValidateSession()
	check("validate session", err)
	expect("validate session", valid["valid"], valid)
}

func version(node *client.ZSClient) {
	found, err := node.GetVersion()
	check("version", err)
	expect("version", strings.Count(found, ".") == 2, found)
}

func zones(node *client.ZSClient) string {
	found, err := node.QueryZone(param.NewQueryParam())
	check("query zones", err)
	expect("query zones", len(found) == 1 && found[0].State == "Enabled", found)
	return found[0].UUID
}

func queries(node *client.ZSClient) {
	all, err := node.QueryBackupStorage(param.NewQueryParam())
	check("query", err)
	expect("query", len(all) == 3 && all[0].Hostname == "imagestore-1", all)
	expect("query", all[0].SshPort == 22 && all[0].TotalCapacity > all[0].AvailableCapacity, all[0])
	expect("query", !all[0].CreateDate.IsZero(), "no date of creation")

	conditions := param.NewQueryParam()
	conditions.AddQ("name~=imagestore-%").AddQ("status=Connected").AddQ("type=ImageStoreBackupStorage")
	conditions.Sort("-name").Limit(2)
	some, err := node.QueryImageStoreBackupStorage(conditions)
	check("query with conditions", err)
	expect("query with conditions", len(some) == 2 && some[0].Name == "imagestore-3", some)

	paged := param.NewQueryParam()
	paged.Start(1).Limit(1)
	page, total, err := node.PageImageStoreBackupStorage(paged)
	check("page", err)
	expect("page", len(page) == 1 && total == 3, total)

	one, err := node.GetImageStoreBackupStorage(all[0].UUID)
	check("get", err)
	expect("get", one.UUID == all[0].UUID && len(one.AttachedZoneUuids) == 1, one)
	_, err = node.GetBackupStorage(missing)
	expect("get what is missing", errors.Is(err, zserrors.ErrNotFound), err)
}

func add(node *client.ZSClient) *view.BackupStorageInventoryView {
	details := param.AddImageStoreBackupStorageDetailParam{
		Name: "gold", Description: "made by Go", Hostname: hostname, Username: "root", Password: "password",
		Url: "/cdpdata", ImportImages: false,
	}
	storage, err := node.AddImageStoreBackupStorage(param.AddImageStoreBackupStorageParam{
		BaseParam: param.BaseParam{SystemTags: []string{"onlybackup"}}, Params: details,
	})
	check("add", err)
	expect("add", storage.Status == "Connected" && storage.TotalCapacity > 0, storage)
	expect("add", storage.SshPort == 22 && storage.Description == "made by Go", storage)

	_, err = node.AddImageStoreBackupStorage(param.AddImageStoreBackupStorageParam{Params: details})
	expect("add it again", err != nil && strings.Contains(err.Error(), "duplicate backup storage"), err)
	return storage
}

func change(node *client.ZSClient, storage *view.BackupStorageInventoryView, zone string) {
	name := "silver"
	updated, err := node.UpdateImageStoreBackupStorage(storage.UUID, param.UpdateImageStoreBackupStorageParam{
		UpdateImageStoreBackupStorage: param.UpdateImageStoreBackupStorageDetailParam{UUID: storage.UUID, Name: &name},
	})
	check("update", err)
	expect("update", updated.Name == name && updated.Description == "made by Go", updated)

	reconnected, err := node.ReconnectImageStoreBackupStorage(storage.UUID)
	check("reconnect", err)
	expect("reconnect", reconnected.Status == "Connected", reconnected)

	disabled, err := node.ChangeBackupStorageState(storage.UUID, param.StateEventDisable)
	check("change state", err)
	expect("change state", disabled.State == "Disabled" && disabled.Status == "Connected", disabled)

	attached, err := node.AttachBackupStorageToZone(zone, storage.UUID)
	check("attach", err)
	expect("attach", len(attached.AttachedZoneUuids) == 1 && attached.AttachedZoneUuids[0] == zone, attached)
}

func remove(node *client.ZSClient, storage *view.BackupStorageInventoryView) {
	check("delete", node.DeleteBackupStorage(storage.UUID))
	_, err := node.GetBackupStorage(storage.UUID)
	expect("get what was deleted", errors.Is(err, zserrors.ErrNotFound), err)
	check("delete it again", node.DeleteBackupStorage(storage.UUID))
}

func logOut(node *client.ZSClient) {
	check("logout", node.Logout())
	_, err := node.QueryZone(param.NewQueryParam())
	expect("query after logout", err != nil, "it was answered")
}

func check(step string, err error) {
	if err != nil {
		fail(step, err)
	}
	fmt.Println("ok:", step)
}

func expect(step string, holds bool, found any) {
	if !holds {
		fail(step, fmt.Errorf("unexpected: %+v", found))
	}
}

func fail(step string, err error) {
	fmt.Println("failed:", step, err)
	os.Exit(1)
}
