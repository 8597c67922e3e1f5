/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* What menuconfig would have written for firmware/sdkconfig.defaults on an ESP32-C3. The STUB_
 * switches are CMake's, one set per variant of the port. */
#define CONFIG_IDF_FIRMWARE_CHIP_ID 0x0005
#define CONFIG_FREERTOS_HZ          100

#define CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE 1 /* the port does not build without */
#ifndef STUB_BARE
#define CONFIG_ESP_COREDUMP_ENABLE_TO_FLASH   1
#define CONFIG_ESP_TLS_CLIENT_SESSION_TICKETS 1
#if STUB_IDF_MAJOR < 6 /* 6 knows no other format, and no such option */
#define CONFIG_ESP_COREDUMP_DATA_FORMAT_ELF 1
#endif
#endif
#ifdef STUB_ANTI_ROLLBACK
#define CONFIG_BOOTLOADER_APP_ANTI_ROLLBACK 1
#endif
#define CONFIG_APP_RETRIEVE_LEN_ELF_SHA            9
#define CONFIG_ESP_COREDUMP_SUMMARY_STACKDUMP_SIZE 1024

#define CONFIG_KEDGE_DEVICE_ID   ""
#define CONFIG_KEDGE_SERVER_URL  "https://kedge.invalid:8443"
#define CONFIG_KEDGE_BROKER_HOST "kedge.invalid"
#define CONFIG_KEDGE_BROKER_PORT 8883
#define CONFIG_KEDGE_BLOCK_FLOOR 20480
#define CONFIG_KEDGE_PRIORITY    5
#define CONFIG_KEDGE_AGENT_STACK 6144
#define CONFIG_KEDGE_HTTP_STACK  8192
#define CONFIG_KEDGE_MQTT_STACK  6144
