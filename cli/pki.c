/* SPDX-License-Identifier: Apache-2.0 */
#include "pki.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "cli.h"
#include "folder.h"
#include "host/fs.h"

#define CERT_MODE     0644u
#define PEM_MAX       65536u
#define SERIAL_BYTES  16
#define CA_YEARS      20u
#define CLOCK_SKEW_S  (-3600L) /* valid since an hour ago: clocks differ */
#define DAYS_PER_YEAR 365u

struct cli_pki {
    X509 *cert;
    EVP_PKEY *key;
};

/* What goes into one certificate. issuer NULL = self-signed. */
struct cert_plan {
    const char *common_name;
    const struct cli_pki *issuer;
    EVP_PKEY *key;
    unsigned years;
};

struct extension {
    int nid;
    const char *value;
};

static enum kedge_err say_openssl(const char *what)
{
    unsigned long code = ERR_get_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    cli_error(CLI_FAILED, "%s: %s", what, reason != NULL ? reason : "OpenSSL failed");
    ERR_clear_error();
    return KEDGE_ERR_IO;
}

/* ---- files ---- */

static enum kedge_err write_bio(BIO *bio, const char *path, unsigned mode)
{
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    enum kedge_err err = host_fs_write_atomic(path, data, (size_t)len, mode);
    if (err != KEDGE_OK) {
        cli_error(CLI_FAILED, "%s: cannot be written: %s", path, strerror(errno));
    }
    return err;
}

static enum kedge_err write_key(EVP_PKEY *key, const char *path)
{
    BIO *bio = BIO_new(BIO_s_secmem()); /* wiped when freed */
    enum kedge_err err = KEDGE_ERR_IO;
    if (bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1) {
        err = write_bio(bio, path, CLI_KEY_MODE);
    } else {
        err = say_openssl(path);
    }
    BIO_free(bio);
    return err;
}

static enum kedge_err write_cert(X509 *cert, const char *path)
{
    BIO *bio = BIO_new(BIO_s_mem());
    enum kedge_err err = KEDGE_ERR_IO;
    if (bio != NULL && PEM_write_bio_X509(bio, cert) == 1) {
        err = write_bio(bio, path, CERT_MODE);
    } else {
        err = say_openssl(path);
    }
    BIO_free(bio);
    return err;
}

static enum kedge_err read_pem(const char *path, struct host_buf *buf)
{
    host_buf_init(buf, PEM_MAX);
    enum kedge_err err = host_fs_read(path, buf);
    if (err != KEDGE_OK) {
        cli_error(CLI_FAILED, "%s: cannot be read: %s", path, strerror(errno));
    }
    return err;
}

static enum kedge_err read_cert(const char *path, X509 **cert)
{
    struct host_buf pem;
    enum kedge_err err = read_pem(path, &pem);
    if (err == KEDGE_OK) {
        BIO *bio = BIO_new_mem_buf(host_buf_text(&pem), (int)pem.len);
        *cert = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
        err = *cert != NULL ? KEDGE_OK : say_openssl(path);
    }
    host_buf_free(&pem);
    return err;
}

static enum kedge_err read_key(const char *path, EVP_PKEY **key)
{
    struct host_buf pem;
    enum kedge_err err = read_pem(path, &pem);
    if (err == KEDGE_OK) {
        BIO *bio = BIO_new_mem_buf(host_buf_text(&pem), (int)pem.len);
        *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
        err = *key != NULL ? KEDGE_OK : say_openssl(path);
    }
    if (pem.data != NULL) {
        OPENSSL_cleanse(pem.data, pem.len);
    }
    host_buf_free(&pem);
    return err;
}

/* ---- certificates ---- */

static bool set_serial(X509 *cert)
{
    uint8_t bytes[SERIAL_BYTES];
    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return false;
    }
    bytes[0] = (uint8_t)((bytes[0] & 0x7Fu) | 0x40u); /* positive and always of full length */
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    bool ok = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;
    BN_free(number);
    return ok;
}

static bool set_fields(X509 *cert, const struct cert_plan *plan)
{
    X509_NAME *name = X509_get_subject_name(cert);
    const X509 *issuer = plan->issuer != NULL ? plan->issuer->cert : cert;
    return X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                      (const unsigned char *)plan->common_name, -1, -1, 0) == 1 &&
           X509_set_issuer_name(cert, X509_get_subject_name(issuer)) == 1 &&
           X509_gmtime_adj(X509_getm_notBefore(cert), CLOCK_SKEW_S) != NULL &&
           X509_time_adj_ex(X509_getm_notAfter(cert), (int)(plan->years * DAYS_PER_YEAR), 0,
                            NULL) != NULL &&
           X509_set_pubkey(cert, plan->key) == 1;
}

static bool add_extensions(X509 *cert, X509 *issuer, const struct extension *extensions)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, cert, NULL, NULL, 0);
    for (const struct extension *row = extensions; row->value != NULL; row++) {
        X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, row->nid, row->value);
        bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
        X509_EXTENSION_free(extension);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* NULL after saying why. */
static X509 *build_cert(const struct cert_plan *plan, const struct extension *extensions)
{
    X509 *cert = X509_new();
    X509 *issuer = plan->issuer != NULL ? plan->issuer->cert : cert;
    EVP_PKEY *signer = plan->issuer != NULL ? plan->issuer->key : plan->key;
    if (cert == NULL || !set_fields(cert, plan) || !add_extensions(cert, issuer, extensions) ||
        X509_sign(cert, signer, EVP_sha256()) == 0) {
        X509_free(cert);
        (void)say_openssl(plan->common_name);
        return NULL;
    }
    return cert;
}

/* Certificate last: who finds it finds its key too. */
static enum kedge_err make_and_write(struct cert_plan *plan, const struct extension *extensions,
                                     const char *key_path, const char *cert_path)
{
    plan->key = EVP_EC_gen("P-256");
    if (plan->key == NULL) {
        return say_openssl(key_path);
    }
    X509 *cert = build_cert(plan, extensions);
    enum kedge_err err = cert != NULL ? write_key(plan->key, key_path) : KEDGE_ERR_IO;
    if (err == KEDGE_OK) {
        err = write_cert(cert, cert_path);
    }
    X509_free(cert);
    EVP_PKEY_free(plan->key);
    return err;
}

/* "a,b" -> "permitted;DNS:a,permitted;DNS:b" */
static void constraint_text(const char *domains, struct host_buf *out)
{
    host_buf_printf(out, "permitted;DNS:%s", CLI_PKI_OWN_DOMAIN);
    while (*domains != '\0') {
        size_t len = strcspn(domains, ",");
        host_buf_printf(out, ",permitted;DNS:%.*s", (int)len, domains);
        domains += len + (domains[len] == ',' ? 1 : 0);
    }
}

enum kedge_err cli_pki_create(const char *domains, const char *key_path, const char *cert_path)
{
    struct host_buf constraint;
    host_buf_init(&constraint, PEM_MAX);
    constraint_text(domains, &constraint);
    /* RFC 5280 4.2.1.10 wants the name constraints critical; mbedTLS does not know them and refuses
     * what is unknown and critical, so the devices could not use the CA. OpenSSL (kedged, kedge,
     * mosquitto, curl) applies them either way. */
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
        {NID_key_usage, "critical,keyCertSign,cRLSign"},
        {NID_subject_key_identifier, "hash"},
        {NID_name_constraints, host_buf_text(&constraint)},
        {0, NULL},
    };
    struct cert_plan plan = {.common_name = "Kedge CA", .years = CA_YEARS};
    enum kedge_err err = make_and_write(&plan, extensions, key_path, cert_path);
    host_buf_free(&constraint);
    return err;
}

enum kedge_err cli_pki_open(const char *key_path, const char *cert_path, struct cli_pki **pki_out)
{
    struct cli_pki *pki = host_calloc(1, sizeof(*pki));
    enum kedge_err err = read_cert(cert_path, &pki->cert);
    if (err == KEDGE_OK) {
        err = read_key(key_path, &pki->key);
    }
    if (err == KEDGE_OK && X509_check_private_key(pki->cert, pki->key) != 1) {
        err = say_openssl(key_path);
    }
    if (err != KEDGE_OK) {
        cli_pki_close(pki);
        return err;
    }
    *pki_out = pki;
    return KEDGE_OK;
}

void cli_pki_close(struct cli_pki *pki)
{
    if (pki == NULL) {
        return;
    }
    X509_free(pki->cert);
    EVP_PKEY_free(pki->key);
    free(pki);
}

enum kedge_err cli_pki_issue(const struct cli_pki *pki, const struct cli_pki_request *request,
                             const char *key_path, const char *cert_path)
{
    const struct extension extensions[] = {
        {NID_basic_constraints, "critical,CA:FALSE"},
        {NID_key_usage, "critical,digitalSignature"},
        {NID_ext_key_usage, request->use == CLI_PKI_SERVER ? "serverAuth" : "clientAuth"},
        {NID_subject_key_identifier, "hash"},
        {NID_authority_key_identifier, "keyid:always"},
        {NID_subject_alt_name, request->alt_names},
        {0, NULL},
    };
    struct cert_plan plan = {
        .common_name = request->common_name, .issuer = pki, .years = request->years};
    return make_and_write(&plan, extensions, key_path, cert_path);
}

enum kedge_err cli_pki_fingerprint(const char *cert_path, char *out)
{
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    X509 *cert = NULL;
    enum kedge_err err = read_cert(cert_path, &cert);
    if (err != KEDGE_OK) {
        return err;
    }
    if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 || len != 32) {
        err = say_openssl(cert_path);
    } else {
        kedge_hex_encode(digest, len, out);
    }
    X509_free(cert);
    return err;
}

enum kedge_err cli_pki_names(const char *cert_path, const char *host, bool *names)
{
    X509 *cert = NULL;
    enum kedge_err err = read_cert(cert_path, &cert);
    if (err == KEDGE_OK) {
        *names =
            X509_check_host(cert, host, 0, 0, NULL) == 1 || X509_check_ip_asc(cert, host, 0) == 1;
    }
    X509_free(cert);
    return err;
}

enum kedge_err cli_pki_random(uint8_t *out, size_t size)
{
    return RAND_bytes(out, (int)size) == 1 ? KEDGE_OK : say_openssl("random numbers");
}
