/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "kedge/bytes.h"

/* Range of a GET (RFC 9110 section 14): one range of bytes, the rest is answered as a whole. */
enum srv_range {
    SRV_RANGE_WHOLE,         /**< no range that we serve: several ranges, another unit */
    SRV_RANGE_PART,          /**< first .. last are set */
    SRV_RANGE_UNSATISFIABLE, /**< begins at or behind the end */
    SRV_RANGE_MALFORMED
};

/** text: the header's value. size: of the whole, in bytes. first and last: 0-based, last included;
 *  set only for PART. */
enum srv_range srv_range_parse(const char *text, uint64_t size, uint64_t *first, uint64_t *last);

/** Content-Range of a request's body, "bytes 0-4095/10752": first <= last < total, or false. */
bool srv_range_parse_content(const char *text, uint64_t *first, uint64_t *last, uint64_t *total);
