/* SPDX-License-Identifier: Apache-2.0 */
#include "test_pki.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define DAY_S 86400

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "test_pki: %s failed\n", what);
        abort();
    }
}

void test_pki_init(struct test_pki *pki)
{
    *pki = (struct test_pki){.dir = "/tmp/kedge-pki-XXXXXX"};
    must(mkdtemp(pki->dir) != NULL, "mkdtemp");
}

const char *test_pki_path(struct test_pki *pki, const char *name)
{
    char *path = pki->path[pki->next_path++ % 4];

    (void)snprintf(path, sizeof pki->path[0], "%s/%s", pki->dir, name);
    return path;
}

void test_pki_remove(struct test_pki *pki)
{
    DIR *dir = opendir(pki->dir);

    must(dir != NULL, "opendir");
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            (void)unlink(test_pki_path(pki, entry->d_name));
        }
    }
    (void)closedir(dir);
    (void)rmdir(pki->dir);
}

static FILE *open_part(struct test_pki *pki, const char *name, const char *suffix, const char *mode)
{
    char file[80];

    (void)snprintf(file, sizeof file, "%s.%s", name, suffix);

    FILE *stream = fopen(test_pki_path(pki, file), mode);

    must(stream != NULL, file);
    return stream;
}

static X509 *load_cert(struct test_pki *pki, const char *name)
{
    FILE *stream = open_part(pki, name, "crt", "r");
    X509 *cert = PEM_read_X509(stream, NULL, NULL, NULL);

    must(cert != NULL, "PEM_read_X509");
    (void)fclose(stream);
    return cert;
}

static EVP_PKEY *load_key(struct test_pki *pki, const char *name)
{
    FILE *stream = open_part(pki, name, "key", "r");
    EVP_PKEY *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);

    must(key != NULL, "PEM_read_PrivateKey");
    (void)fclose(stream);
    return key;
}

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    must(extension != NULL && X509_add_ext(cert, extension, -1) == 1, value);
    X509_EXTENSION_free(extension);
}

static void add_extensions(X509 *cert, enum test_cert_kind kind)
{
    switch (kind) {
    case TEST_CERT_CA:
        add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
        add_extension(cert, NID_key_usage, "critical,keyCertSign,cRLSign");
        break;
    case TEST_CERT_SERVER:
        add_extension(cert, NID_ext_key_usage, "serverAuth");
        add_extension(cert, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
        break;
    case TEST_CERT_CLIENT:
    case TEST_CERT_EXPIRED:
        add_extension(cert, NID_ext_key_usage, "clientAuth");
        break;
    }
}

void test_pki_make(struct test_pki *pki, const char *name, const char *cn, const char *issuer,
                   enum test_cert_kind kind)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *issuer_key = kind == TEST_CERT_CA ? key : load_key(pki, issuer);
    X509 *cert = X509_new();
    X509 *issuer_cert = kind == TEST_CERT_CA ? cert : load_cert(pki, issuer);
    X509_NAME *subject = X509_get_subject_name(cert);
    long end_s = kind == TEST_CERT_EXPIRED ? -DAY_S : DAY_S;
    static long serial = 1;

    must(key != NULL && X509_set_version(cert, 2) == 1, "X509_new");
    must(ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++) == 1, "serial");
    must(X509_gmtime_adj(X509_getm_notBefore(cert), -2 * DAY_S) != NULL, "notBefore");
    must(X509_gmtime_adj(X509_getm_notAfter(cert), end_s) != NULL, "notAfter");
    must(X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1,
                                    0) == 1,
         "CN");
    must(X509_set_issuer_name(cert, X509_get_subject_name(issuer_cert)) == 1, "issuer");
    must(X509_set_pubkey(cert, key) == 1, "key");
    add_extensions(cert, kind);
    must(X509_sign(cert, issuer_key, EVP_sha256()) > 0, "X509_sign");

    FILE *stream = open_part(pki, name, "crt", "w");
    must(PEM_write_X509(stream, cert) == 1 && fclose(stream) == 0, "write crt");
    stream = open_part(pki, name, "key", "w");
    must(PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(stream) == 0,
         "write key");
    if (kind != TEST_CERT_CA) {
        X509_free(issuer_cert);
        EVP_PKEY_free(issuer_key);
    }
    X509_free(cert);
    EVP_PKEY_free(key);
}
